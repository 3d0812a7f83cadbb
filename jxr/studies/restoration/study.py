"""How good one restorer for all blurs is: beside the linear limit, told a wrong blur, enlarged.

The network is never trained or chosen here. `part` says on which images it is scored: validation
images for every choice, test images once a network is finished.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from jaxtyping import Int

from jxr.config import BlurConfig, RestorerStudyConfig
from jxr.evaluation import calibrate, coverage, error_map, mse
from jxr.files import write_json
from jxr.models import Restorer, load_restorer
from jxr.studies.dataset import Dataset, load_dataset
from jxr.studies.restoration.error_bounds import calibrated_and_scored
from jxr.studies.restoration.large_images import large_images, large_rows
from jxr.studies.restoration.measured_spectra import limit_error
from jxr.studies.restoration.regions import region_rows
from jxr.studies.restoration.spectrum import spectrum_row
from jxr.studies.restoration.table import setting_name, settings
from jxr.studies.restorers import (
    Images,
    check_blur,
    degraded_pairs,
    restoration_row,
    setting_of,
    spread,
)
from jxr.studies.wiener_nets import linear_estimates, restored_by_net
from jxr.studies.workdir import Study

TOLD = (0.8, 0.9, 1.0, 1.1, 1.2)  # the sigma that is told, as a factor of the true one
WIDTH_ERROR = 0.2 / 3**0.5  # what is told of an error even within a fifth
GRID_SIGMAS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
GRID_INPUTS: tuple[dict[str, Any], ...] = (
    {"input_precision": "8bit"},
    {"noise": 0.01},
    {"noise": 0.01, "input_precision": "8bit"},
    {"noise": 0.03},
)


def restorer_study(config: RestorerStudyConfig, workdir: Path, cache: Path) -> dict[str, Any]:
    """Runs what is left of the study and returns (and writes) its results.

    Args:
        config: which restorer, images and settings.
        workdir: run directory; gets `results.json`.
        cache: folder of decoded images, which other runs may share.

    Raises:
        UserError: a mistake in the config, the images or the weights; of validation images, there
            is one patient only.
    """
    restorer = load_restorer(config.restorer.path or None)
    dataset = load_dataset(config.data, cache)
    blurs = settings(config.sigmas, config.conventions, config.noise)
    for blur in blurs:
        check_blur(blur, config.data.size)
    fingerprints = {"data": dataset.fingerprint, "restorer": restorer.fingerprint}
    bounded = calibrated_and_scored(dataset, config.part, config.subset)
    large = large_images(config)
    if large:
        fingerprints["large"] = large.fingerprint
    stages = Study(workdir, config, **fingerprints)
    rows = dataset.part(config.part)
    some = spread(rows, config.subset)
    noisy = [blur for blur in blurs if blur.noise or blur.input_precision == "8bit"]
    standard = [blur for blur in noisy if blur.convention == "standard"]
    grid = [BlurConfig(sigma=sigma, **kind) for kind in GRID_INPUTS for sigma in GRID_SIGMAS]

    def each(name: str, work: Callable, rows: Any, blurs: Sequence[BlurConfig]) -> list[Any]:
        return [
            stages.run(
                f"{name}/{setting_name(blur)}",
                partial(work, restorer, dataset, rows, blur, config.seed),
            )
            for blur in blurs
        ]

    tables = {
        "restoration": list(chain(*each("table", table_rows, rows, blurs))),
        "regions": list(chain(*each("regions", region_rows, rows, noisy))),
        "told": list(chain(*each("told", told_rows, some, standard))),
        "spectra": each("spectrum", spectrum_row, some, standard),
        "grid": each("grid", grid_row, some, grid),
        "uncertainty": each("uncertainty", uncertainty_row, bounded, noisy),
        "large": (
            stages.run("large", partial(large_rows, restorer, large, config.seed)) if large else []
        ),
    }
    notes = [*dataset.notes_on(config.part), f"scored on {config.part} images"]
    results = {"provenance": stages.provenance(notes), **tables}
    write_json(workdir / "results.json", results)
    return results


def table_rows(
    restorer: Restorer,
    dataset: Dataset,
    rows: Int[np.ndarray, " n"],
    blur: BlurConfig,
    seed: int,
) -> list[dict[str, Any]]:
    """Returns the rows of one setting: not restored, the restorer's linear estimate, the restorer.

    Each also has `limit_mse`, what the Wiener filter leaves that knows the spectra of these very
    images and of their noise: the linear limit.
    """
    originals, blurred = degraded_pairs(dataset, rows, blur, seed)
    limit = {"limit_mse": limit_error(dataset, rows, blur, seed)}
    table = [restoration_row("none", "none", blur, originals, blurred)]
    for method, recipe, restore in (
        ("wiener", "radial-spectrum", linear_estimates),
        ("wiener_net", "all-settings", restored_by_net),
    ):
        restored = restore(restorer, blurred, blur)
        table.append(restoration_row(method, recipe, blur, originals, restored))
    logging.info(
        "%s: MSE %.4g, linear limit %.4g", setting_name(blur), table[-1]["mse"], limit["limit_mse"]
    )
    return [row | limit for row in table]


def told_rows(
    restorer: Restorer,
    dataset: Dataset,
    rows: Int[np.ndarray, " n"],
    blur: BlurConfig,
    seed: int,
) -> list[dict[str, Any]]:
    """Returns the errors where the sigma that is told is off: linear, network, network warned."""
    originals, blurred = degraded_pairs(dataset, rows, blur, seed)
    not_restored = float(mse(originals, blurred).mean())

    def error(restore: Any, told: float, **options: float) -> float:
        return float(mse(originals, restore(restorer, blurred, blur, told=told, **options)).mean())

    return [
        {
            **setting_of(blur),
            "n": len(rows),
            "told": told,
            "mse_blurred": not_restored,
            "mse_wiener": error(linear_estimates, told),
            "mse_wiener_net": error(restored_by_net, told),
            "mse_wiener_net_warned": error(restored_by_net, told, width_error=WIDTH_ERROR),
        }
        for told in TOLD
    ]


def grid_row(
    restorer: Restorer,
    dataset: Dataset,
    rows: Int[np.ndarray, " n"],
    blur: BlurConfig,
    seed: int,
) -> dict[str, Any]:
    """Returns the error of the restorer in one setting beside the linear limit."""
    originals, blurred = degraded_pairs(dataset, rows, blur, seed)
    return {
        **setting_of(blur),
        "n": len(rows),
        "mse_blurred": float(mse(originals, blurred).mean()),
        "mse_wiener_net": float(mse(originals, restored_by_net(restorer, blurred, blur)).mean()),
        "limit_mse": limit_error(dataset, rows, blur, seed),
    }


def uncertainty_row(
    restorer: Restorer,
    dataset: Dataset,
    bounded: tuple[Int[np.ndarray, " known"], Int[np.ndarray, " scored"]],
    blur: BlurConfig,
    seed: int,
) -> dict[str, Any]:
    """Returns how many pixels the bounds of `jxr.evaluation` cover, and how wide they are.

    They are calibrated on the first of the two groups of rows and scored on the second.
    """
    known, scored = bounded

    def pair(rows: Int[np.ndarray, " n"]) -> tuple[Images, Images]:
        originals, blurred = degraded_pairs(dataset, rows, blur, seed)
        return originals, restored_by_net(restorer, blurred, blur)

    bound = calibrate(*pair(known))
    originals, restored = pair(scored)
    covered = coverage(bound, originals, restored)
    bounds = error_map(bound, restored)
    return {
        **setting_of(blur),
        "n": len(scored),
        "calibrated_on": len(known),
        "level": bound.level,
        "coverage": float(covered.mean()),
        "coverage_of_images": np.quantile(covered, (0.05, 0.5, 0.95)).tolist(),
        "mean_bound": float(bounds.mean()),
        "narrowest_bound": float(bound.bounds.min()),
        "widest_bound": float(bound.bounds.max()),
    }
