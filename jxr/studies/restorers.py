"""Restorers of one blur setting: the U-Net, trained here, and the Wiener filter beside it."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Int

from jxr import rng
from jxr.config import BlurConfig, RestorerRun, UNetConfig
from jxr.data import batches, eval_batches
from jxr.errors import UserError
from jxr.evaluation import restoration_scores
from jxr.models import abstract, apply
from jxr.optics import gaussian_profile, kernel_radius
from jxr.restoration import choose_noise_to_signal, wiener
from jxr.studies.dataset import Dataset
from jxr.training.checkpoints import load_params
from jxr.training.launch import PLAIN, Launch
from jxr.training.loop import fit
from jxr.training.processes import this_part
from jxr.training.tasks import blurred_images, build_unet, restorer_task

BATCH = 16
# Flat noise-to-signal ratios from below float32's rounding to strong noise, five a decade.
RATIOS = np.logspace(-16, -1, 76)
TUNED_ON = 128  # validation images that choose among them

# How the blur itself is rounded. 'device' is `degraded_images`: float32 throughout. 'host' blurs
# in float64 and rounds once, as ideal float32 images would be.
Rounding = Literal["device", "host"]

Images = Float[np.ndarray, "n height width 1"]
Restorer = Callable[[np.ndarray], Array | np.ndarray]


def check_blur(blur: BlurConfig, size: int) -> None:
    """Raises UserError if images of `size` pixels are too small for the blur."""
    radius = kernel_radius(blur.sigma, blur.convention)
    if radius > size:
        raise UserError(
            f"blur.sigma {blur.sigma:g} needs a kernel of radius {radius}, more than the image's"
            f" {size} pixels: lower blur.sigma, or raise data.size"
        )


def check_unet(config: UNetConfig, size: int) -> None:
    """Raises UserError if the U-Net cannot take images of `size` pixels."""
    if config.crop > size:
        raise UserError(f"unet.crop {config.crop} is more than data.size {size}: lower it")
    if size % 2**config.depth:
        raise UserError(f"data.size {size} cannot be halved {config.depth} times: lower unet.depth")


def check_reflect(blur: BlurConfig) -> None:
    """Raises UserError if the blur is not the one that the cosine transform diagonalises."""
    if blur.boundary != "reflect":
        raise UserError(f"blur.boundary '{blur.boundary}': the Wiener filter needs 'reflect'")


def train_unet(
    run: RestorerRun, dataset: Dataset, directory: Path, title: str, launch: Launch = PLAIN
) -> Any:
    """Trains the U-Net of one blur setting, or goes on with it; returns its parameters."""
    schedule = run.unet.schedule
    iterator = batches(
        {"image": dataset.images},
        rows=dataset.train,
        batch_size=schedule.batch_size,
        seed=run.seed,
        part=this_part(),
    )
    return fit(
        restorer_task(run.unet, run.blur),
        iterator,
        schedule=schedule,
        steps=schedule.steps(len(dataset.train)),
        seed=run.seed,
        directory=directory,
        title=title,
        launch=launch,
    )


def unet_recipe(config: UNetConfig) -> str:
    """Returns what marks this U-Net's training, such as `width16-depth4-crop112-epochs5`.

    How memory is saved changes no result and is not part of it.
    """
    parts = [f"width{config.width}", f"depth{config.depth}"]
    parts += [f"crop{config.crop}"] if config.crop else []
    parts += [f"channels{config.channels}"] if config.channels > 1 else []
    parts += ["residual"] if config.residual else []
    parts += [f"epochs{config.schedule.epochs}"]
    parts += ["bfloat16"] if config.schedule.precision == "bfloat16" else []
    return "-".join(parts)


def unet_restorer(config: UNetConfig, params: Any) -> Restorer:
    """Returns blurred -> restored, both batches of images on the device, clipped to [0, 1]."""
    graphdef, _ = abstract(build_unet(config))

    @jax.jit
    def restore(params: Any, images: Array) -> Array:
        restored = apply(graphdef, params, jnp.repeat(images, config.channels, axis=-1))
        return jnp.clip(restored.mean(axis=-1, keepdims=True), 0, 1)

    return lambda images: restore(params, images)


def load_unet(config: UNetConfig, directory: Path) -> Restorer:
    """Returns the restorer that was trained in `directory`.

    Raises:
        UserError: there is no checkpoint, or it is of another U-Net.
    """
    _, template = abstract(build_unet(config))
    return unet_restorer(config, load_params(directory / "checkpoints", template))


def wiener_restorer(blur: BlurConfig, dataset: Dataset, seed: int) -> Restorer:
    """Returns the flat Wiener filter of this blur; its one number is chosen on validation images.

    In float64, for without noise its ratio goes far below float32's rounding; so on the CPU, for
    accelerators have no float64 transforms, or slow ones.

    Raises:
        UserError: the boundary is not `reflect`, which the cosine transform stands for.
    """
    check_reflect(blur)
    profile = kernel_of(blur, "device")
    rows = spread(dataset.validation, TUNED_ON)
    originals = np.asarray(dataset.images[rows])
    blurred = degraded_images(originals, rows, blur, seed)
    with host_float64():
        ratio, _ = jax.jit(choose_noise_to_signal)(
            blurred.astype(np.float64), originals.astype(np.float64), profile, RATIOS
        )
    filtered = jax.jit(lambda images: jnp.clip(wiener(images, jnp.asarray(profile), ratio), 0, 1))

    def restore(images: np.ndarray) -> np.ndarray:
        with host_float64():
            return np.asarray(filtered(np.asarray(images, np.float64)), np.float32)

    return restore


def kernel_of(blur: BlurConfig, rounding: Rounding) -> Float64[np.ndarray, " size"]:
    """Returns the very kernel that blurs the images, rounded as it was, in float64."""

    def profile() -> Float64[np.ndarray, " size"]:
        radius = kernel_radius(blur.sigma, blur.convention)
        weights = gaussian_profile(
            blur.sigma, radius=radius, convention=blur.convention, sampling=blur.sampling
        )
        return np.asarray(weights, np.float64)

    if rounding == "device":
        return profile()
    with host_float64():
        return profile()


def spread(rows: Int[np.ndarray, " n"], most: int) -> Int[np.ndarray, " some"]:
    """Returns at most that many rows, evenly spread: they are sorted by class."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, most).round().astype(int))]


@contextmanager
def host_float64() -> Iterator[None]:
    """Computes in float64 on the CPU: accelerators have no float64 transforms, or slow ones."""
    with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        yield


def degraded_images(
    images: Images, rows: Int[np.ndarray, " n"], blur: BlurConfig, seed: int
) -> Images:
    """Returns the images in one blur setting; a row has the same noise in every call."""
    key = rng.stream(jax.random.key(seed), "noise")
    return in_batches(lambda batch, ids: _degraded(batch, ids, key, blur), images, rows)


_degraded = jax.jit(blurred_images, static_argnames="blur")


def degraded_pairs(
    dataset: Dataset, rows: Int[np.ndarray, " n"], blur: BlurConfig, seed: int
) -> tuple[Images, Images]:
    """Returns images of a data set, and what one blur setting makes of them."""
    originals = np.asarray(dataset.images[rows])
    return originals, degraded_images(originals, rows, blur, seed)


def in_batches(
    function: Callable[..., Array | np.ndarray], images: np.ndarray, *others: np.ndarray
) -> np.ndarray:
    """Returns `function` of the arrays, done in batches of one size along their first axis."""
    arrays = {str(number): array for number, array in enumerate((images, *others))}
    results = []
    for batch in eval_batches(arrays, batch_size=min(BATCH, len(images))):
        result = np.asarray(function(*(batch[name] for name in arrays)))
        results.append(result[batch["mask"] > 0])
    return np.concatenate(results)


def setting_of(blur: BlurConfig) -> dict[str, Any]:
    """Returns what of a blur setting differs between rows of a study."""
    return {
        "sigma": blur.sigma,
        "convention": blur.convention,
        "noise": blur.noise,
        "input_precision": blur.input_precision,
    }


def restoration_row(
    method: str, recipe: str, blur: BlurConfig, originals: Images, restored: Images
) -> dict[str, Any]:
    """Returns one row of the restoration table of results.json."""
    scores = restoration_scores(originals, restored)
    return {
        "method": method,
        "recipe": recipe,
        "psf": "gaussian",
        **dataclasses.asdict(blur),
        "kernel_radius": kernel_radius(blur.sigma, blur.convention),
        **scores,
    }
