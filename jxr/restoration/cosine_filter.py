"""Filtering in the cosine domain by one real Fourier transform there and one back."""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jxr.optics.checks import as_images


def filter_cosines(
    images: Float[Array, "*batch height width channels"], gain: Float[Array, "height width"]
) -> Float[Array, "*batch height width channels"]:
    """Multiplies the DCT-II coefficients of images by `gain`: equals idctn(gain * dctn(images)).

    Two to five times as fast as those two on a CPU, and no less exact. The pixels are reordered
    so that one real FFT holds all cosine coefficients, see Makhoul, "A fast cosine transform in
    one and two dimensions", IEEE Trans. Acoust. Speech Signal Process. 28 (1980),
    doi:10.1109/TASSP.1980.1163351. With F that FFT of M by N pixels, u_m = exp(-i pi m / 2M) and
    w_k = exp(-i pi k / 2N), and X the coefficients (up to a factor of each, which cancels),

        X[m, k] - i X[m, N - k] = w_k (u_m F[m, k] + conj(u_m) F[-m, k]) / 2,

    where X[m, N] = 0; so the gain of [m, k] goes to the real part and that of [m, N - k] to the
    imaginary part. The way back needs the same at M - m, where it is
    w_k i (u_m F[m, k] - conj(u_m) F[-m, k]) / 2, so both are had from one pair of numbers.

    Args:
        images: float32 or float64, which is kept.
        gain: of each coefficient, in the order of `jax.scipy.fft.dctn`; finite.

    Returns:
        The filtered images.

    Raises:
        ValueError: if the images are no float numbers.
    """
    images = as_images("images", images)
    height, width, _ = images.shape[-3:]
    columns = width // 2 + 1
    planes = jnp.moveaxis(images, -1, -3)
    spectrum = jnp.fft.rfft2(split_parity(split_parity(planes, -1), -2))

    def twiddles(count, length):  # static, so in float64 on the host
        return np.exp(-0.5j * np.pi * np.arange(count) / length)

    u, w = twiddles(height, height)[:, None], twiddles(columns, width)
    gain = gain.astype(images.dtype)
    here = gain[:, :columns]
    there = jnp.pad(gain[:, :0:-1][:, : columns - 1], ((0, 0), (1, 0)))
    forward = spectrum * jnp.asarray(w * u, spectrum.dtype)
    mirrored = minus(spectrum) * jnp.asarray(w * u.conj(), spectrum.dtype)
    plus, difference = forward + mirrored, 1j * (forward - mirrored)
    at_m = lax.complex(here * plus.real, there * plus.imag)
    at_rest = lax.complex(minus(here) * difference.real, minus(there) * difference.imag)
    filtered = (at_m - 1j * at_rest) * jnp.asarray((u * w).conj() / 2, spectrum.dtype)
    pixels = jnp.fft.irfft2(filtered, s=(height, width))
    return jnp.moveaxis(join_parity(join_parity(pixels, -2), -1), -3, -1)


def minus(spectrum: Array) -> Array:
    """Returns the spectrum with row m replaced by row -m, modulo the height."""
    return jnp.roll(jnp.flip(spectrum, -2), 1, -2)


def split_parity(pixels: Array, axis: int) -> Array:
    """Puts the even positions in order first and the odd ones in reverse behind them."""
    pixels = jnp.moveaxis(pixels, axis, -1)
    split = jnp.concatenate([pixels[..., ::2], pixels[..., 1::2][..., ::-1]], axis=-1)
    return jnp.moveaxis(split, -1, axis)


def join_parity(split: Array, axis: int) -> Array:
    """Undoes `split_parity`."""
    split = jnp.moveaxis(split, axis, -1)
    size = split.shape[-1]
    even, odd = split[..., : (size + 1) // 2], split[..., (size + 1) // 2 :][..., ::-1]
    odd = jnp.pad(odd, [(0, 0)] * (odd.ndim - 1) + [(0, size % 2)])
    # Not -1 for the last size: an empty batch would not tell it.
    pairs = jnp.stack([even, odd], axis=-1).reshape(*split.shape[:-1], 2 * even.shape[-1])
    joined = pairs[..., :size]
    return jnp.moveaxis(joined, -1, axis)
