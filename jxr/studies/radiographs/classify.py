"""Classifies a user's own images with a trained run: a table, JSON, and Grad-CAM overlays."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jxr.data import find_radiographs, read_image, resize
from jxr.errors import UserError
from jxr.files import write_json, write_whole, written
from jxr.studies.radiographs.batch_files import Failure, for_each_file
from jxr.studies.radiographs.calibrated_runs import CalibratedRun, open_run
from jxr.studies.radiographs.overlays import as_png, for_display, overlay, overlay_name
from jxr.studies.radiographs.predictions import Classified, Prediction, details, notes_of, table

BATCH = 16  # images that are held at a time
TABLE, DETAILS, NOTES = "predictions.csv", "predictions.json", "README.txt"


def classify(
    workdir: Path,
    cache: Path,
    source: Path,
    output: Path,
    *,
    gradcam: bool = False,
    overwrite: bool = False,
    data_path: str | None = None,
    weights_path: str | None = None,
) -> Classified:
    """Classifies image files and writes `predictions.csv`, `predictions.json` and `README.txt`.

    Images are taken as they are, brought to the run's size. One that cannot be read is named on
    stderr and in the results, and the rest goes on.

    Args:
        workdir, cache, data_path, weights_path: See `open_run`.
        source: An image file, or a folder: its images and those of the folders in it.
        output: Folder of the results.
        gradcam: Whether to write an overlay for each image and question.
        overwrite: Whether results that are there may be replaced.

    Raises:
        UserError: there are no images; there are results already; the run cannot be used; the
            results cannot be written.
    """
    root, files = images_of(source)
    if output.resolve().is_relative_to(root.resolve()) and source.is_dir():
        raise UserError(f"{output}: lies in the folder of the images: give another --output")
    if not overwrite:
        refuse_existing(output / name for name in (TABLE, DETAILS, NOTES))
    run = open_run(workdir, cache, data_path=data_path, weights_path=weights_path)
    if gradcam and not overwrite:
        refuse_existing(
            output / overlay_name(file.relative_to(root), one.task)
            for file in files
            for one in run.questions
        )
    predictions, failures = predict_files(run, root, files, output if gradcam else None)
    found = Classified(run, tuple(predictions), tuple(failures), notes_of(run, gradcam=gradcam))
    with written(output):
        write_whole(output / NOTES, ("\n\n".join(found.notes) + "\n").encode())
        write_whole(output / TABLE, table(found, root).encode("utf-8", "surrogateescape"))
        write_json(output / DETAILS, details(found, root))
    return found


def images_of(source: Path) -> tuple[Path, list[Path]]:
    """Returns the folder that paths are given from, and the image files, sorted.

    Raises:
        UserError: there are none.
    """
    if source.is_file():
        return source.parent, [source]
    if not source.is_dir():
        raise UserError(f"{source}: no such file or folder: check --input")
    return source, find_radiographs(source)


def refuse_existing(paths: Iterable[Path]) -> None:
    """Raises UserError if one of the files is there."""
    for path in paths:
        if path.exists():
            raise UserError(f"{path}: is there already: give --overwrite or another --output")


def predict_files(
    run: CalibratedRun, root: Path, files: Sequence[Path], overlays: Path | None
) -> tuple[list[Prediction], list[Failure]]:
    """Returns what the run says of each file, and the files that cannot be read.

    Args:
        run: With one or more questions.
        root: The folder that paths are given from.
        files: In it.
        overlays: Folder that gets Grad-CAM's overlays; None for none.
    """
    size = run.config.data.size, run.config.data.size
    held: list[tuple[Path, np.ndarray, np.ndarray | None]] = []
    predictions: list[Prediction] = []

    def read(path: Path) -> None:
        image = read_image(path)
        shown = None if overlays is None else for_display(image)
        held.append((path.relative_to(root), resize(image, size, run.config.data.resize), shown))
        if len(held) == BATCH:
            predict_held()

    def predict_held() -> None:
        images = np.stack([image for _, image, _ in held])
        # All batches have one size, so that the network is compiled once.
        padding = min(BATCH, len(files)) - len(held)
        images = np.pad(images, ((0, padding), (0, 0), (0, 0), (0, 0)))
        log_odds, maps = run.answers(jnp.asarray(images), gradcam=overlays is not None)
        scaled = [
            question.scaling(np.asarray(row))
            for question, row in zip(run.questions, log_odds, strict=True)
        ]
        for number, (path, _, shown) in enumerate(held):
            names = []
            if overlays is not None and maps is not None and shown is not None:
                for question, of_question in zip(run.questions, maps, strict=True):
                    names.append(overlay_name(path, question.task))
                    picture = overlay(shown, np.asarray(of_question[number]))
                    write_whole(overlays / names[-1], as_png(picture))
            values = tuple(float(row[number]) for row in scaled)
            predictions.append(Prediction(path.as_posix(), values, tuple(names)))
        held.clear()

    failures = for_each_file(files, read, done="classified")
    if held:
        with written(overlays or root):
            predict_held()
    return predictions, failures
