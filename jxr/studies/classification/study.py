"""Classifiers by two recipes, the report's and a better one, and what can be said of them.

Every choice is made on validation images, which are of other patients than the training images:
thresholds and temperatures too. `part` says on which images the tables are: test images once all
recipes are finished.
"""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from jaxtyping import Float64, Int

from jxr.config import ClassificationConfig
from jxr.errors import UserError
from jxr.evaluation import Scaling, fit_scaling
from jxr.evaluation.overlap import check_folds, overlap_weights
from jxr.files import write_arrays, write_json
from jxr.models import load_restorer
from jxr.studies.classification.controls import borders, one_sharpness, sharpness
from jxr.studies.classification.recipes import KINDS, RECIPES, TRAIN_ON, Inputs
from jxr.studies.classification.tables import TABLES, Answered, Cell, operating_rows
from jxr.studies.dataset import load_dataset
from jxr.studies.features import load_backbone
from jxr.studies.restorers import check_blur, check_reflect, in_batches
from jxr.studies.workdir import FILES, Stages, Study
from jxr.training.launch import PLAIN, Launch

# By recipe, kind of training images, seed.
Scalings = dict[tuple[str, str, int], Scaling]


def classification_study(
    config: ClassificationConfig,
    workdir: Path,
    cache: Path,
    part: str,
    launch: Launch = PLAIN,
) -> dict[str, Any]:
    """Runs what is left of the study and returns (and writes) its results.

    Args:
        config: Which images, recipes and seeds.
        workdir: Run directory; gets `predictions-PART.npz`, and `results.json` for test images,
            `validation.json` for the others. Where it has all predictions, nothing is trained.
        cache: Folder of decoded images and features, which other runs may share.
        part: `validation`, or `test` once all recipes are finished.
        launch: See `fit`.

    Raises:
        UserError: a mistake in the config, the images or the weights.
    """
    check_blur(config.blur, config.data.size)
    check_reflect(config.blur)
    if config.tuned.size > config.data.size:
        raise UserError(
            f"tuned.size {config.tuned.size} is more than data.size {config.data.size}: lower it"
        )
    dataset = load_dataset(config.data, cache)
    backbone = load_backbone(config.weights)
    inputs = Inputs(config, dataset, backbone, workdir, cache)
    for one in ("train", "validation", "test"):
        inputs.examples(one)  # a class without images is said before the work, not after
    for name, chosen in zip(inputs.tasks, inputs.examples("validation"), strict=True):
        try:
            check_folds(chosen.labels, chosen.patients)
        except ValueError as error:
            raise UserError(
                f"{name}: validation {error}: raise data.validation_fraction"
            ) from error
    stages = Study(
        workdir,
        config,
        data=dataset.fingerprint,
        weights=backbone.fingerprint,
        restorer=load_restorer().fingerprint,
    )
    parts = tuple(dict.fromkeys(("validation", part)))
    # Tables can be made anew of what the classifiers said, without them.
    if not all(predictions_file(workdir, one).exists() for one in parts):
        for (name, recipe), train_on in product(RECIPES.items(), TRAIN_ON):
            with stages.kept(f"train-{name}-{train_on}"):
                recipe.train(inputs, train_on, launch)
    said = {}
    for one in parts:
        said[one] = log_odds(inputs, one, stages)
    tables: dict[str, list] = {name: [] for name in TABLES}
    operating: list[dict[str, Any]] = []
    notes = [*dataset.notes_on(part), f"scored on {part} images"]
    for number in range(len(inputs.tasks)):
        scalings, remarks = scalings_of(inputs, number, said["validation"])
        answered = {one: answers_to(inputs, number, scalings, said[one], one) for one in parts}
        for name, table in TABLES.items():
            tables[name] += table(answered[part], config)
        operating += operating_rows(answered[part], answered["validation"], config)
        notes += remarks
    provenance = stages.provenance(notes)
    results = {"provenance": provenance, "part": part, **tables, "operating": operating}
    write_json(workdir / FILES[part], results)
    return results


def predictions_file(workdir: Path, part: str) -> Path:
    """Returns where the log-odds of a part's images are kept."""
    return workdir / f"predictions-{part}.npz"


def log_odds(inputs: Inputs, part: str, stages: Stages) -> dict[Cell, np.ndarray]:
    """Returns seeds x images x questions log-odds of every cell, kept in predictions-PART.npz."""
    path = predictions_file(inputs.workdir, part)
    cells = [Cell(*cell) for cell in product(RECIPES, TRAIN_ON, KINDS)]
    if not path.exists():
        with stages.kept(f"predict-{part}"):
            said = {" ".join(cell): values for cell, values in predicted(inputs, part).items()}
            rows = np.sort(inputs.dataset.part(part))
            paths = np.array([inputs.dataset.records[row].path for row in rows])
            write_arrays(path, {**said, "paths": paths, "tasks": np.array(inputs.tasks)})
    with np.load(path, allow_pickle=False) as kept:
        return {cell: kept[" ".join(cell)] for cell in cells}


def predicted(inputs: Inputs, part: str) -> dict[Cell, np.ndarray]:
    """Returns what the trained classifiers say of a part's images of every kind."""
    said = {}
    for kind in KINDS:
        images = inputs.images(part, kind)
        for name, recipe in RECIPES.items():
            given = recipe.given(inputs, images, part, kind)
            for train_on in TRAIN_ON:
                said[Cell(name, train_on, kind)] = recipe.log_odds(inputs, train_on, given)
    return said


def scalings_of(
    inputs: Inputs, number: int, validation: dict[Cell, np.ndarray]
) -> tuple[Scalings, list[str]]:
    """Returns how each classifier's answers to one question are calibrated, and notes.

    On validation images such as it was trained on, each seed for itself, where those count most
    whose sharpness and borders look like the other class: among them, the style of acquisition
    tells nothing.
    """
    rows = np.sort(inputs.dataset.part("validation"))
    chosen = inputs.examples("validation")[number]
    places = np.searchsorted(rows, chosen.rows)
    images = inputs.dataset.images[chosen.rows]
    style = in_batches(lambda batch: np.hstack([borders(batch), sharpness(batch)]), images)
    weights = overlap_weights(chosen.labels, style, chosen.patients)
    scalings, notes = {}, []
    for recipe, train_on in product(RECIPES, TRAIN_ON):
        known = validation[Cell(recipe, train_on, train_on)][:, places, number]
        for seed, values in zip(inputs.config.seeds, known, strict=True):
            who = f"{inputs.tasks[number]}, {recipe} on {train_on}, seed {seed}"
            scalings[recipe, train_on, seed], note = scaling_of(who, chosen.labels, values, weights)
            notes += [note] if note else []
    return scalings, notes


def answers_to(
    inputs: Inputs,
    number: int,
    scalings: Scalings,
    said: dict[Cell, np.ndarray],
    part: str,
) -> Answered:
    """Returns the answers to one question, as the recipes give them and calibrated.

    The recipe `report` stays as it is, `report-calibrated` is the same network; `fine-tuned` is
    calibrated, `fine-tuned-uncalibrated` the same network as it is; `ensemble` is the mean of the
    calibrated log-odds of both networks of a seed.
    """
    scored = inputs.examples(part)[number]
    among = np.searchsorted(np.sort(inputs.dataset.part(part)), scored.rows)
    answers = {}
    for cell, all_values in said.items():
        values = all_values[:, among, number]
        scaled = np.stack(
            [
                scalings[cell.recipe, cell.train_on, seed](row)
                for seed, row in zip(inputs.config.seeds, values, strict=True)
            ]
        )
        if cell.recipe == "report":
            answers[cell] = values
            answers[cell._replace(recipe="report-calibrated")] = scaled
        else:
            answers[cell] = scaled
            answers[cell._replace(recipe=f"{cell.recipe}-uncalibrated")] = values
    for met in product(TRAIN_ON, KINDS):
        members = [answers[Cell(recipe, *met)] for recipe in ("report-calibrated", "fine-tuned")]
        answers[Cell("ensemble", *met)] = np.mean(members, axis=0)
    return Answered(
        name=inputs.tasks[number],
        chosen=scored,
        prevalence=float(inputs.examples("validation")[number].labels.mean()),
        sharpness=in_batches(one_sharpness, inputs.dataset.images[scored.rows]),
        log_odds=answers,
    )


def scaling_of(
    who: str,
    labels: Int[np.ndarray, " n"],
    log_odds: Float64[np.ndarray, " n"],
    weights: Float64[np.ndarray, " n"],
) -> tuple[Scaling, str | None]:
    """Returns `fit_scaling`; of a classifier that has learnt nothing no change, and a note."""
    try:
        return fit_scaling(labels, log_odds, weights), None
    except ValueError as error:
        note = f"{who}: left uncalibrated, for on validation images {error}"
        logging.warning("%s", note)
        return Scaling(slope=1.0, threshold=0.0), note
