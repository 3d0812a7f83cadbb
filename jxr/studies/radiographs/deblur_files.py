"""A file or a folder of radiographs, deblurred into another folder."""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from absl import logging
from jaxtyping import Float
from PIL import Image
from tqdm import tqdm

from jxr.data.radiographs import find_radiographs, read_radiograph
from jxr.data.records import IMAGE_SUFFIXES
from jxr.errors import UserError
from jxr.files import write_whole, written
from jxr.models import load_restorer
from jxr.studies.radiographs.batch_files import for_each_file, require_all
from jxr.studies.radiographs.blur import Deblurring
from jxr.studies.radiographs.deblurring import deblur

# Smaller images have few tiles: their bar would only flicker.
WORTH_A_BAR = 8


def deblur_files(
    source: Path, output: Path, wanted: Deblurring, *, overwrite: bool, error_map: bool
) -> int:
    """Deblurs one file or all below a folder; returns how many.

    Each result has its file's name, kind, depth and metadata, but a JPEG becomes a PNG; below a
    folder it keeps its place. One line a file says what was done, and so does the file itself.

    Args:
        source: a PNG, JPEG, TIFF or DICOM file, or a folder of them.
        output: a folder, which is made if need be.
        wanted: blur, noise and method.
        overwrite: whether results may replace files that are there; never the images themselves.
        error_map: whether a TIFF of float32 is written beside each result, `NAME-error.tif`: for
            each pixel a bound on its error, in units of the image's range. Pixels are in the order
            of the file, also where its Exif says that it lies on its side. Of the network only.

    Raises:
        UserError: nothing can be done at all, or some files failed, see `for_each_file`.
    """
    if error_map and wanted.method != "network":
        raise UserError("--error_map is calibrated for --method=network only: leave one out")
    if not source.exists():
        raise UserError(f"{source}: no such file or folder: check --input")
    folder = source if source.is_dir() else source.parent
    files = find_radiographs(source) if source.is_dir() else [source]
    if source.is_dir() and output.resolve().is_relative_to(source.resolve()):
        raise UserError(
            f"{output} lies in {source}, where results would be taken for images: give another"
            " --output"
        )
    images = {path.resolve() for path in files}
    restorer = load_restorer()
    made: dict[Path, Path] = {}

    def work(path: Path) -> None:
        image = read_radiograph(path)
        target = output / path.relative_to(folder).with_name(result_name(path.name, image.suffix))
        errors = target.with_name(f"{target.stem}-error.tif")
        for file in (target, errors) if error_map else (target,):
            if file in made:
                raise UserError(
                    f"{path}: {file} is the result of {made[file].name}: rename one of the two"
                )
            if file.resolve() in images:
                whom = "it" if file.resolve() == path.resolve() else f"the image {file}"
                raise UserError(f"{path}: its result would replace {whom}: give another --output")
            if file.exists() and not overwrite:
                raise UserError(
                    f"{path}: {file} is there already: give another --output, or --overwrite"
                )
            made[file] = path
        restored, told, note = deblur(image, str(path), wanted, restorer, bar)
        content = image.encode(restored, note)
        with written(target):
            write_whole(target, content)
        if error_map:
            # Here, for it loads scikit-learn and SciPy's statistics: three seconds.
            from jxr.studies.restoration.error_bounds import shipped_bounds

            bounds = shipped_bounds(restorer, restored, told.kernel, **told.numbers)
            with written(errors):
                write_whole(errors, float_tiff(bounds))
        logging.info("%s: %s", target, note)

    require_all(for_each_file(files, work, done="deblurred"), len(files), done="deblurred")
    return len(files)


def result_name(name: str, suffix: str) -> str:
    """Returns a file's name with another suffix; DICOM files are often named by UIDs, with dots."""
    path = Path(name)
    return (path.stem if path.suffix.lower() in IMAGE_SUFFIXES else name) + suffix


def bar(tiles: list[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """A bar over the tiles of one image, on a terminal."""
    return tqdm(tiles, unit="tile", leave=False, disable=None if len(tiles) > WORTH_A_BAR else True)


def float_tiff(values: Float[np.ndarray, "height width 1"]) -> bytes:
    """Returns numbers as a TIFF of float32."""
    content = io.BytesIO()
    image = Image.fromarray(values[..., 0].astype(np.float32))
    image.save(content, "TIFF", compression="tiff_adobe_deflate")
    return content.getvalue()
