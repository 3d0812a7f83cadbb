"""How time and memory of each blur grow with the image, each measured in a process of its own."""

import os
from statistics import median
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from jxr.optics import (
    LinearOperator,
    dense_blur,
    eigen_psfs,
    gaussian_psf,
    low_rank_operator,
    operator_error,
    psf_operator,
    tiled_operator,
)
from jxr.studies.bench.fresh_process import in_fresh_process, peak_bytes
from jxr.studies.bench.timing import seconds_of, significant
from jxr.studies.field.blur import off_grid

OperatorName = Literal["stationary", "low_rank", "tiled", "dense"]
OPERATORS: tuple[OperatorName, ...] = get_args(OperatorName)

RADIUS = 8  # PSFs are Gaussians of 0.8 to 3.2 pixels, 17 pixels wide, at every size
RANK = 8
TILE = 64


def growth_row(name: OperatorName, size: int, repeats: int) -> dict[str, Any]:
    """Returns time and memory of one blur of one float32 image, from a fresh process.

    Args:
        name: which operator.
        size: of the image, in pixels along an axis.
        repeats: blurs timed after a warm-up; the median counts.

    Returns:
        `seconds`; `peak_mb`: how far the process's peak rose above where it stood with JAX running
        and the image made, from building the operator, compiling and blurring; `temporary_mb`: of
        the compiled blur, as XLA says (it does not count what its FFT library takes);
        `psf_error_max` at 5 by 5 places, null for `dense`, which is the definition; `load`: of the
        machine, for judging the time.
    """
    return in_fresh_process(measure, name, size, repeats)


def measure(name: OperatorName, size: int, repeats: int) -> dict[str, Any]:
    """Does what `growth_row` says, in this process."""
    image = noise_image(size)
    # Whatever a first compilation and a first transform take counts for nobody.
    jax.block_until_ready(jax.jit(lambda x: jnp.fft.irfft2(jnp.fft.rfft2(x)))(jnp.ones((64, 64))))
    before = peak_bytes()

    def psf_at(y, x):
        return gaussian_psf(0.8 + (1.6 * y + 0.8 * x) / size, radius=RADIUS)

    if name == "dense":
        compiled = jax.jit(lambda x: dense_blur(x, psf_at)).lower(image).compile()
        blur = lambda: jax.block_until_ready(compiled(image))  # noqa: E731
        operator = None
    else:
        operator = make(name, psf_at, size)
        # As an argument where it is a tree of arrays, so that none is copied into the program.
        compiled = jax.jit(lambda operator, x: operator.forward(x)).lower(operator, image).compile()
        blur = lambda: jax.block_until_ready(compiled(operator, image))  # noqa: E731
    blur()
    seconds = median(seconds_of(blur, 1) for _ in range(repeats))
    peak = peak_bytes() - before
    error = None
    if operator is not None and name != "stationary":
        errors = operator_error(operator, psf_at, size, size, places=off_grid(size))
        error = float(errors.max())
    memory = compiled.memory_analysis()
    if memory is None:
        raise RuntimeError("this platform's compiler does not tell how much memory a program needs")
    return {
        "operator": name,
        "size": size,
        "seconds": significant(seconds, 3),
        "peak_mb": round(peak / 1e6, 1),
        "temporary_mb": round(memory.temp_size_in_bytes / 1e6, 1),
        "image_mb": round(image.nbytes / 1e6, 2),
        "psf_error_max": error,
        "load": round(os.getloadavg()[0], 1),
    }


def noise_image(size: int) -> jax.Array:
    """Returns a float32 image in [0, 1), without a moment's memory beyond its own."""
    return jnp.asarray(np.random.default_rng(0).random((size, size, 1), np.float32))


def make(name: OperatorName, psf_at: Any, size: int) -> LinearOperator:
    """Returns an operator of `growth_row`; the stationary one has the PSF of the middle."""
    if name == "stationary":
        operator = psf_operator(psf_at(size / 2, size / 2), method="fft")
        # A plain operator holds functions; JAX takes them only inside a tree.
        return LinearOperator(*(jax.tree_util.Partial(part) for part in operator))
    if name == "low_rank":
        return low_rank_operator(eigen_psfs(psf_at, size, size, rank=RANK))
    return tiled_operator(psf_at, size, size, tile=TILE)


def with_extrapolation(rows: list[dict[str, Any]], sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    """Adds the dense blur at sizes where it was not run: as many times slower as pixels more."""
    dense = [row for row in rows if row["operator"] == "dense"]
    if not dense:
        return rows
    last = max(dense, key=lambda row: row["size"])
    return rows + [
        {
            "operator": "dense",
            "size": size,
            "seconds": significant(last["seconds"] * (size / last["size"]) ** 2, 3),
            "extrapolated": True,
        }
        for size in sizes
        if size > last["size"]
    ]
