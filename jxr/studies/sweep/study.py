"""Where does a classifier break under blur, and how far does restoration move that point?

Heads on frozen VGG-16 are trained as one stack, on images of one or more blurs, and meet images of
a whole grid of blur and noise, as they are and restored by the shipped network.
"""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from absl import logging
from jaxtyping import Float64, Int

from jxr.config import SigmaSweepConfig
from jxr.files import write_json
from jxr.models import load_restorer
from jxr.studies.binary_tasks import Examples, binary_task, default_tasks, examples
from jxr.studies.classifiers import (
    classification_row,
    head_recipe,
    keep_predictions,
    paired_differences,
)
from jxr.studies.dataset import Dataset, load_dataset
from jxr.studies.features import Backbone, dataset_features, load_backbone
from jxr.studies.restorers import check_blur, check_reflect, spread
from jxr.studies.sweep.breaks import break_rows
from jxr.studies.sweep.grid import KINDS, Classifiers, Grid, predict_grid
from jxr.studies.sweep.members import diverged, members_of, train_head_stack
from jxr.studies.workdir import FILES, Study
from jxr.training.launch import PLAIN, Launch

TABLES = ("classification", "differences", "breaks")


def sigma_sweep_study(
    config: SigmaSweepConfig, workdir: Path, cache: Path, part: str, launch: Launch = PLAIN
) -> dict[str, Any]:
    """Runs what is left of the study and returns (and writes) its results.

    Args:
        config: Which images, heads and grid.
        workdir: Run directory; gets `results.json` for test images, `validation.json` for the
            others.
        cache: Folder of decoded images and features, which other runs may share.
        part: `validation`, or `test` once the recipe is finished.
        launch: See `fit`.

    Raises:
        UserError: a mistake in the config, the images or the weights; every head of a task
            diverged.
    """
    widest = replace(config.blur, sigma=max(*config.sigmas, *config.train_sigmas))
    check_blur(widest, config.data.size)
    check_reflect(config.blur)
    dataset = load_dataset(config.data, cache)
    names = config.tasks or default_tasks(dataset.records)
    tested = np.sort(dataset.part(part))
    if config.images:
        tested = spread(tested, config.images)
    learnt = {name: questions(name, dataset, dataset.train) for name in names}
    asked = {name: questions(name, dataset, tested) for name in names}
    backbone = load_backbone(config.weights)
    restorer = load_restorer()
    stages = Study(
        workdir,
        config,
        data=dataset.fingerprint,
        weights=backbone.fingerprint,
        restorer=restorer.fingerprint,
    )
    members = members_of(config)

    def features(sigma: float) -> np.ndarray:
        return train_features(config, sigma, dataset, backbone, cache)

    trained = {}
    for name in names:
        with stages.kept(f"heads-{name}"):
            trained[name] = train_head_stack(
                config.head,
                members,
                features,
                learnt[name],
                directory=workdir / "heads" / name,
                title=name,
                launch=launch,
            )
    grid = grid_of(config)
    with stages.kept(f"grid-{part}"):
        log_odds = predict_grid(
            Classifiers(
                backbone, restorer, config.head, {name: trained[name].params for name in names}
            ),
            dataset,
            tested,
            grid,
            replace(config.blur, sigma=max(config.sigmas)),
            folder=workdir / f"grid-{part}",
            title=f"grid of {part} images",
        )
    tables: dict[str, list] = {key: [] for key in TABLES}
    notes = [*dataset.notes_on(part), f"scored on {len(tested)} {part} images"]
    for name in names:
        chosen = asked[name]
        among = np.searchsorted(tested, chosen.rows)
        sound = trained[name].sound
        notes += [f"{name}: {note}" for note in diverged(members, trained[name])]
        said = log_odds[name][..., among]
        file = workdir / "predictions" / f"{part}-{name}.npz"
        kinds = {kind: said[:, k].astype(np.float32) for k, kind in enumerate(KINDS)}
        keep_predictions(file, dataset, chosen, kinds)
        for key, rows in task_rows(config, name, chosen, said, sound).items():
            tables[key] += rows
    results = {
        "provenance": stages.provenance(notes),
        "part": part,
        **tables,
    }
    write_json(workdir / FILES[part], results)
    return results


def questions(name: str, dataset: Dataset, rows: Int[np.ndarray, " n"]) -> Examples:
    """Returns which of these images a task is about, sorted by row."""
    return examples(binary_task(name, dataset.records), dataset.records, np.sort(rows))


def train_features(
    config: SigmaSweepConfig, sigma: float, dataset: Dataset, backbone: Backbone, cache: Path
) -> np.ndarray:
    """Returns the features that members of this training blur see; at 0 those of the originals.

    Noise is of tested images only.
    """
    blur = replace(config.blur, sigma=sigma, noise=0.0) if sigma else None
    return dataset_features(backbone, dataset, cache, blur=blur)


def grid_of(config: SigmaSweepConfig) -> Grid:
    """Returns every noise at every sigma, sigmas of one noise together."""
    settings = jnp.array(list(product(config.noises, config.sigmas)), jnp.float32)
    return Grid(sigmas=settings[:, 1], noises=settings[:, 0])


def task_rows(
    config: SigmaSweepConfig,
    task: str,
    chosen: Examples,
    log_odds: Float64[np.ndarray, "settings kinds members n"],
    sound: np.ndarray,
) -> dict[str, list[dict[str, Any]]]:
    """Returns the scores in every setting, how they differ from the sharpest images', and breaks.

    Members that differ in nothing but the seed share a row; those that diverged are left out.
    """
    tables: dict[str, list] = {key: [] for key in TABLES}
    members = members_of(config)
    settings = list(product(config.noises, config.sigmas))
    sharpest = settings.index((min(config.noises), min(config.sigmas)))
    samples = config.bootstrap_samples
    for sigma, rate in product(config.train_sigmas, config.learning_rates):
        mine = [
            place
            for place, member in enumerate(members)
            if member[:2] == (sigma, rate) and sound[place]
        ]
        if not mine:
            logging.warning("%s: no head for sigma %g, rate %g is left", task, sigma, rate)
            continue
        head = replace(config.head, schedule=replace(config.head.schedule, learning_rate=rate))
        arm = {"task": task, "train_sigma": sigma, "learning_rate": rate}
        reference = log_odds[sharpest, KINDS.index("blurred"), mine]
        for (noise, tested), kind in product(settings, KINDS):
            found = log_odds[settings.index((noise, tested)), KINDS.index(kind), mine]
            identity: dict[str, Any] = {
                **arm,
                "recipe": head_recipe(head, config.weights),
                "seeds": [members[place].seed for place in mine],
                "test_on": kind,
                "restorer": "wiener_net" if kind == "recovered" else None,
            }
            blur = replace(config.blur, sigma=tested, noise=noise)
            tables["classification"].append(
                classification_row(chosen, found, samples=samples, blur=blur, **identity)
            )
            differences = paired_differences(chosen, reference, found, samples=samples)
            setting = {"sigma": tested, "noise": noise}
            tables["differences"].append({**identity, **setting, **differences})
        for noise in config.noises:
            places = [settings.index((noise, tested)) for tested in config.sigmas]
            curves = {kind: log_odds[places, k][:, mine] for k, kind in enumerate(KINDS)}
            tables["breaks"] += break_rows(
                chosen, config.sigmas, curves, reference, samples=samples, **arm, noise=noise
            )
    return tables
