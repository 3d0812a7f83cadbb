"""Checks of parameters: numbers, which may be plain or traced, images, and names."""

import math
from collections.abc import Collection, Sequence

import jax
import jax.numpy as jnp
import numpy as np


def check_range(
    name: str,
    value: jax.typing.ArrayLike | Sequence[float | int],
    low: float | int,
    high: float | int = math.inf,
    *,
    closed: bool = False,
) -> None:
    """Raises a ValueError that names the parameter unless every value lies in the range.

    An empty array does not.

    Traced values have no number to check yet and pass.

    Args:
        name: what the error calls the parameter.
        value: a number or an array of numbers.
        low: must be exceeded, or reached if `closed`.
        high: must not be exceeded.
        closed: whether `low` itself is allowed.
    """
    if isinstance(value, jax.core.Tracer):
        return
    values = np.asarray(value, np.float64)
    above = values >= low if closed else values > low
    good = np.isfinite(values) & above & (values <= high)
    if not (values.size and good.all()):
        lower = f"{'>=' if closed else '>'} {low:g}"
        upper = "" if high == math.inf else f" and <= {high:g}"
        found = f"{values[~good].flat[0]:.9g}" if values.size else "empty"
        raise ValueError(f"{name} must be finite, {lower}{upper}, not {found}")


def check_number(
    name: str,
    value: jax.typing.ArrayLike,
    low: float | int,
    high: float | int = math.inf,
    *,
    closed: bool = False,
) -> None:
    """As `check_range`, of one number: several would be spread over channels or a kernel's taps."""
    if jnp.ndim(value):
        raise ValueError(
            f"{name} must be one number, not of the shape {jnp.shape(value)}: for several jax.vmap"
        )
    check_range(name, value, low, high, closed=closed)


def as_float(name: str, images: jax.typing.ArrayLike) -> jax.Array:
    """Returns the images as a JAX array, so float64 of NumPy's as float32 unless x64 is enabled.

    Raises:
        ValueError: they are not of float numbers, real ones. Kernels and strengths are converted to
            the images' dtype; in integers most of them would be 0.
    """
    dtype = jnp.result_type(images)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(
            f"{name} must be of float numbers, not {dtype}: divide 8-bit ones by 255, 16-bit ones"
            " by 65535"
        )
    return jnp.asarray(images)


def as_images(name: str, images: jax.typing.ArrayLike) -> jax.Array:
    """Returns what `as_float` does of images that have their three axes; ValueError for others."""
    images = as_float(name, images)
    if images.ndim < 3:
        raise ValueError(
            f"{name} must have the axes (..., height, width, channels), not the shape"
            f" {images.shape}: of a single grey image give image[..., None]"
        )
    return images


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raises a ValueError that names the parameter unless the value is one of the choices."""
    *others, last = map(repr, choices)
    if value not in choices:
        raise ValueError(f"{name} must be {', '.join(others)} or {last}, not {value!r}")
