"""Detector imperfections: additive Gaussian noise and quantisation."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Key

from jxr.optics.checks import as_float, check_number
from jxr.optics.psf import Scalar


def add_gaussian_noise(
    key: Key[Array, ""], images: Float[Array, "*shape"], std: Scalar
) -> Float[Array, "*shape"]:
    """Adds independent Gaussian noise to every value, without clipping.

    Clipping would bias dark and bright regions and break the linear model that restoration
    inverts, so the result may leave [0, 1]; `quantise` clips, as a detector does.

    Args:
        key: a key used for nothing else.
        images: in [0, 1].
        std: the standard deviation on the same scale; 0 is the identity. May be traced.

    Returns:
        The noisy images, of the shape and dtype of `images`.

    Raises:
        ValueError: if std is negative or not finite, or the images are no float numbers.

    >>> import jax, jxr
    >>> import jax.numpy as jnp
    >>> noisy = jxr.add_gaussian_noise(jax.random.key(0), jnp.full((100, 100, 1), 0.5), 0.02)
    >>> round(float(noisy.std()), 3)
    0.02
    """
    images = as_float("images", images)
    check_number("std", std, 0, closed=True)
    noise = jax.random.normal(key, images.shape, images.dtype)
    return images + jnp.asarray(std, images.dtype) * noise


def quantise(images: Float[Array, "*shape"], *, bits: int = 8) -> Float[Array, "*shape"]:
    """Clips to [0, 1] and rounds to the 2^bits grey levels k / (2^bits - 1).

    Halves round to even. The gradient is zero everywhere.

    Args:
        images: of any range.
        bits: the depth, 1 to 16.

    Returns:
        The quantised images in [0, 1], of the shape and dtype of `images`.

    Raises:
        ValueError: if bits is not between 1 and 16, or the images are no float numbers.

    >>> import jxr
    >>> import jax.numpy as jnp
    >>> jxr.quantise(jnp.array([-0.1, 0.3, 0.9]), bits=1).tolist()
    [0.0, 0.0, 1.0]
    """
    if not 1 <= bits <= 16:
        raise ValueError(f"bits must be between 1 and 16, not {bits}")
    images = as_float("images", images)
    # float16 has no 65,535.
    wide = images.astype(jnp.promote_types(images.dtype, jnp.float32))
    # Hidden from XLA, which would multiply by the rounded 1 / top and miss k / top by a bit:
    # the levels are to equal those of a decoded image file.
    top = lax.optimization_barrier(jnp.asarray(2**bits - 1, wide.dtype))
    return (jnp.round(jnp.clip(wide, 0, 1) * top) / top).astype(images.dtype)
