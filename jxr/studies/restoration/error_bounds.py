"""A bound on each pixel's error of the shipped restorer, for any blur and noise it was trained on.

Bounds are calibrated in units of the error that the restorer expects before it sees an image: the
network works in those units, so that one table serves every setting.
"""

import json
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Int

from jxr import rng
from jxr.config import DegradationRange, RestorerStudyConfig
from jxr.errors import UserError
from jxr.evaluation import ErrorBound, calibrate, coverage, error_map
from jxr.files import write_json
from jxr.models import Restorer, load_restorer
from jxr.provenance import provenance
from jxr.restoration.wiener_bank import bank_filters
from jxr.studies.dataset import Dataset, load_dataset
from jxr.studies.restorers import spread
from jxr.training.wiener_net_task import draw_setting, observe, profile

Pairs = Float[np.ndarray, "pairs height width 1"]

SHIPPED = "weights/error_bounds.json"
SETTINGS = 2  # drawn for each image
SOME = 192  # images that are calibrated on, and on which the bounds are scored


def shipped_bounds(
    restorer: Restorer,
    restored: Float[np.ndarray, "height width 1"],
    kernel: Float[Array, " size"],
    **told: float,
) -> Float64[np.ndarray, "height width 1"]:
    """Returns for each pixel of a restored image a bound that 90 % of such errors stay below.

    Calibrated on chest X-rays at 224x224 under blurs and noises of the network's training. On
    images of other kinds and sizes it is a guide to where errors are large, and no promise.

    Args:
        restorer: the shipped one.
        restored: what it returned, in [0, 1].
        kernel: what it was told, as the rest: `noise`, `quantisation`, `width_error`.

    Returns:
        In units of the image's range.

    Raises:
        ValueError: the bounds are of another restorer.
    """
    content = json.loads((files("jxr.models") / SHIPPED).read_text())
    if content["restorer"] != restorer.fingerprint:
        raise ValueError("the shipped error bounds are those of the shipped restorer only")
    bound = ErrorBound(np.array(content["edges"]), np.array(content["bounds"]), content["level"])
    height, width, _ = restored.shape
    error = float(_expected_error(restorer.params["log_power"], kernel, height, width, **told))
    return error * error_map(bound, restored[None] / error)[0]


def error_bounds_study(config: RestorerStudyConfig, cache: Path, output: Path) -> dict[str, Any]:
    """Calibrates bounds on validation images under random blurs and noises, and writes them.

    `config.part` says on which images their coverage is measured: with 'validation', on those of
    every other patient, and the bounds are then of the rest.

    Raises:
        UserError: a mistake in the config or the images, or one validation patient only.
    """
    restorer = load_restorer(config.restorer.path or None)
    dataset = load_dataset(config.data, cache)
    known, scored = calibrated_and_scored(dataset, config.part, SOME)
    pairs = partial(random_pairs, restorer, dataset.images, config.seed)
    bound = calibrate(*pairs(known))
    covered = coverage(bound, *pairs(scored))
    results = {
        "restorer": restorer.fingerprint,
        "level": bound.level,
        "edges": bound.edges.tolist(),
        "bounds": bound.bounds.tolist(),
        "calibrated_on": len(known),
        "scored_on": f"{len(scored)} {config.part} images, {SETTINGS} settings each",
        "coverage": float(covered.mean()),
        "coverage_of_images": np.quantile(covered, (0.05, 0.5, 0.95)).tolist(),
        "provenance": provenance(config, data=dataset.fingerprint),
    }
    write_json(output, results)
    return results


def calibrated_and_scored(
    dataset: Dataset, part: str, most: int
) -> tuple[Int[np.ndarray, " known"], Int[np.ndarray, " scored"]]:
    """Returns rows to calibrate bounds on and rows of a part to score them on, so many at most.

    Calibrated are validation images; where these are scored too, those of every other patient.

    Raises:
        UserError: there is one validation patient only, and both are to be of such images.
    """
    known, scored = dataset.validation, dataset.part(part)
    if part == "validation":
        patients = dataset.patients(known)
        first = np.isin(patients, np.unique(patients)[::2])
        if first.all():
            raise UserError("only one validation patient: raise data.validation_fraction")
        known, scored = known[first], known[~first]
    return spread(known, most), spread(scored, most)


def random_pairs(
    restorer: Restorer,
    images: Float[np.ndarray, "all height width 1"],
    seed: int,
    rows: Int[np.ndarray, " n"],
) -> tuple[Pairs, Pairs]:
    """Returns originals and images restored from random settings, in units of expected error.

    Each image comes `SETTINGS` times, with draws that follow its row.
    """
    key = rng.stream(jax.random.key(seed), "error bounds")
    originals, restored = [], []
    for row in rows:
        image = jnp.asarray(images[row])
        for number in range(SETTINGS):
            drawn = jax.random.fold_in(jax.random.fold_in(key, int(row)), number)
            found, error = _degraded_and_restored(restorer, image, drawn)
            restored.append(np.asarray(found / error))
            originals.append(np.asarray(image / error))
    return np.stack(originals), np.stack(restored)


def _degraded_and_restored(restorer: Restorer, image: Array, key: Array) -> tuple[Array, Array]:
    seen, kernel, told = _observed(image, key)
    restored = restorer(seen, kernel, **told)
    height, width, _ = image.shape
    error = _expected_error(restorer.params["log_power"], kernel, height, width, **told)
    return restored, error


@jax.jit
def _observed(image: Array, key: Array) -> tuple[Array, Array, dict[str, Array]]:
    ranges = DegradationRange()
    setting = draw_setting(rng.stream(key, "setting"), ranges)
    told = {
        "noise": setting.noise,
        "quantisation": jnp.where(setting.eight_bit, 1 / 255, 0.0),
        "width_error": setting.width_error,
    }
    seen = observe(image, setting, rng.stream(key, "noise"), ranges)
    return seen, profile(setting.told_sigma, ranges), told


@partial(jax.jit, static_argnums=(2, 3))
def _expected_error(log_power: Array, kernel: Array, height: int, width: int, **told: Any) -> Array:
    return bank_filters(kernel, log_power, height, width, **told).error_std
