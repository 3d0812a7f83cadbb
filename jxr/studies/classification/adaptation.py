"""Images of another style, and nobody knows their labels: what mends the threshold?

The official test images differ in style from the training images: classifiers order them well and
call nearly all of them pneumonia, which no validation image foretells. So styles of training images
are held out in turn, with their patients; on them the ways to calibrate are compared, before the
test images are.
"""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

from jxr.config import AdaptationConfig
from jxr.errors import UserError
from jxr.files import write_json
from jxr.studies.binary_tasks import BinaryTask, binary_task, default_tasks, examples
from jxr.studies.classification.adaptation_scores import scored
from jxr.studies.classification.controls_study import control_features
from jxr.studies.classifiers import keep_predictions, predict, train_head
from jxr.studies.dataset import Dataset, load_dataset
from jxr.studies.features import dataset_features, load_backbone
from jxr.studies.workdir import FILES, Study
from jxr.training.launch import PLAIN, Launch

STYLE = ("borders", "sharpness")  # the controls that tell styles apart
Rows = dict[str, list[dict[str, Any]]]


class Domain(NamedTuple):
    """Images of one style, and the images of other patients and styles to learn from."""

    name: str
    train: Int[np.ndarray, " train"]
    validation: Int[np.ndarray, " validation"]
    met: Int[np.ndarray, " met"]


def adaptation_study(
    config: AdaptationConfig, workdir: Path, cache: Path, part: str, launch: Launch = PLAIN
) -> dict[str, Any]:
    """Runs what is left of the study and returns (and writes) its results.

    Args:
        config: Which images, styles and seeds.
        workdir: Run directory; gets `results.json` for test images, `validation.json` for styles,
            and what the heads say of each image in `predictions/`.
        cache: Folder of decoded images and features, which other runs may share.
        part: `validation` for styles of training images held out, or `test`.
        launch: See `fit`.

    Raises:
        UserError: a mistake in the config, the images or the weights; a style without one class.
    """
    dataset = load_dataset(config.data, cache)
    backbone = load_backbone(config.weights)
    names = config.tasks or default_tasks(dataset.records)
    tasks = [binary_task(name, dataset.records) for name in names]
    domains = [Domain("test", dataset.train, dataset.validation, dataset.test)]
    if part == "validation":
        domains = held_out_styles(dataset, config.styles)
    for domain in domains:
        for task in tasks:
            check_classes(dataset, domain, task)  # before the work, not after
    stages = Study(workdir, config, data=dataset.fingerprint, weights=backbone.fingerprint)
    with stages.timed("features"):
        features = dataset_features(backbone, dataset, cache, blur=None)
    tables: Rows = {"classification": [], "comparisons": [], "few_images": []}
    notes = list(dataset.notes)
    for domain in domains:
        for task in tasks:
            found = stages.run(
                f"{domain.name}/{task.name}",
                partial(
                    domain_rows, config, dataset, features, domain, task,
                    workdir=workdir, launch=launch,
                ),
            )  # fmt: skip
            notes += found.pop("notes")
            for name, table in tables.items():
                table += found[name]
    provenance = stages.provenance(notes)
    results = {"provenance": provenance, "part": part, **tables}
    write_json(workdir / FILES[part], results)
    return results


def held_out_styles(dataset: Dataset, styles: int) -> list[Domain]:
    """Returns the training and validation images by style, each with those of no such patient.

    Styles are clusters (k-means) of what the borders and the sharpness of an image say.
    """
    known = np.sort(np.concatenate([dataset.train, dataset.validation]))
    controls = control_features(dataset, None, 0, STYLE)
    style = StandardScaler().fit_transform(np.hstack([controls[name] for name in STYLE])[known])
    clusters = KMeans(styles, n_init=10, random_state=0).fit_predict(style)
    patients = dataset.patients(known)
    domains = []
    for number in range(styles):
        met = clusters == number
        others = known[~met & ~np.isin(patients, patients[met])]
        train, validation = (
            others[np.isin(others, rows)] for rows in (dataset.train, dataset.validation)
        )
        domains.append(Domain(f"style {number + 1}", train, validation, known[met]))
    return domains


def check_classes(dataset: Dataset, domain: Domain, task: BinaryTask) -> None:
    """Raises UserError if a style, or what is left without it, lacks a class of the question."""
    remedy = "add images of it" if domain.name == "test" else "try another --config.styles"
    for rows in domain[1:]:
        try:
            examples(task, dataset.records, rows)
        except UserError as error:
            raise UserError(f"{domain.name}: {error}: {remedy}") from error


def domain_rows(
    config: AdaptationConfig,
    dataset: Dataset,
    features: Float[np.ndarray, "n features"],
    domain: Domain,
    task: BinaryTask,
    *,
    workdir: Path,
    launch: Launch,
) -> dict[str, Any]:
    """Trains the heads of one question that have not met a style, and scores them on it."""
    train, validation, met = (examples(task, dataset.records, rows) for rows in domain[1:])
    known, said = [], []
    name = f"{task.name}-without-{domain.name.replace(' ', '')}"
    for seed in config.seeds:
        title = f"{task.name} without {domain.name}, seed {seed}"
        params = train_head(
            config.head,
            features,
            train,
            seed=seed,
            directory=workdir / "heads" / f"{name}-seed{seed}",
            title=title,
            launch=launch,
        )
        known.append(predict(config.head, params, features[validation.rows]))
        said.append(predict(config.head, params, features[met.rows]))
    file = workdir / "predictions" / f"{name}.npz"
    keep_predictions(file, dataset, met, {"as trained": np.stack(said)})
    identity = {"task": task.name, "met": domain.name}
    return scored(config, np.stack(known), validation.labels, np.stack(said), met, identity)
