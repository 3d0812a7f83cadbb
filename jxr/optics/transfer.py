"""Blur by a continuous transfer function: for blur too narrow for a kernel of pixels.

A point-spread function much narrower than a pixel has no kernel: sampled at the pixel centres or
integrated over the pixels, a Gaussian of 0.1 pixel becomes the identity, where its true transfer
at the Nyquist frequency is 0.95. Its transfer function can be applied as it is, in the frequency
domain, which is exact for what the pixels can hold: each frequency up to Nyquist is attenuated by
just what the physics says. Above about one pixel of standard deviation both ways agree, and
kernels are local, cheaper and may vary over the field.

Frequencies are in cycles per millimetre along rows and columns of the detector. Transfer functions
of stages in a row multiply (`compose`).
"""

from collections.abc import Callable
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from jxr.optics.checks import as_images, check_choice, check_range
from jxr.optics.psf import Scalar

Frequencies = Float[Array, "rows columns"]
Transfer = Callable[[Frequencies, Frequencies], Inexact[Array, "rows columns"]]


def transfer_blur(
    images: Float[Array, "*batch height width channels"],
    transfer: Transfer,
    pixel_pitch_mm: Scalar | tuple[Scalar, Scalar] = 1.0,
    *,
    boundary: Literal["reflect", "circular"] = "reflect",
) -> Float[Array, "*batch height width channels"]:
    """Multiplies the spectrum of each channel by a transfer function.

    'reflect' continues the image by half-sample reflection, as `jxr.optics.blur` does, and works
    on one period of that, twice the size each way. For a transfer function even in each frequency
    this equals multiplying the DCT-II spectrum at the frequencies k / (2 n pitch); the period also
    takes the others (a skewed spot, a lopsided picture of one).

    A transfer function that is not small at Nyquist is cut off there, so sharp edges may ring by a
    little and leave the range of the image.

    Args:
        images: float32 or float64, of any range; any leading batch axes.
        transfer: takes the frequencies along rows and along columns, in cycles/mm, two arrays of
            one shape, and returns its value at each; the Fourier transform of the PSF. May close
            over traced values.
        pixel_pitch_mm: one number, or one along the rows' direction and one along the columns'.
            With 1, frequencies are in cycles per pixel.
        boundary: how the image goes on beyond its edge.

    Returns:
        The blurred images, of the shape and dtype of `images`.

    Raises:
        ValueError: if the boundary is neither 'reflect' nor 'circular', a pitch not > 0, or the
            images are no float numbers.
    """
    images = as_images("images", images)
    check_choice("boundary", boundary, ("reflect", "circular"))
    height, width, _ = images.shape[-3:]
    if boundary == "reflect":
        widths = [(0, 0)] * (images.ndim - 3) + [(0, height), (0, width), (0, 0)]
        period = jnp.pad(images, widths, mode="symmetric")
    else:
        period = images
    rows, columns = period.shape[-3:-1]
    pitch_y, pitch_x = axis_pitches(pixel_pitch_mm)
    # The grid is static: frequencies from the host in float64, rounded once.
    fy, fx = np.meshgrid(np.fft.fftfreq(rows), np.fft.rfftfreq(columns), indexing="ij")
    gain = transfer(
        jnp.asarray(fy, images.dtype) / pitch_y, jnp.asarray(fx, images.dtype) / pitch_x
    )
    spectrum = jnp.fft.rfft2(period, axes=(-3, -2)) * gain[..., None]
    blurred = jnp.fft.irfft2(spectrum, (rows, columns), axes=(-3, -2))
    return blurred[..., :height, :width, :].astype(images.dtype)


def compose(*transfers: Transfer) -> Transfer:
    """Returns the transfer function of stages in a row: the product of theirs."""

    def product(fy, fx):
        value = jnp.ones_like(fy)
        for transfer in transfers:
            value = value * transfer(fy, fx)
        return value

    return product


def gaussian_transfer(sigma_mm: Scalar) -> Transfer:
    """Returns exp(-2 pi^2 sigma^2 f^2), of a Gaussian of standard deviation sigma; 1 for sigma 0.

    At an angular frequency of w = 2 pi f this is exp(-(sigma w)^2 / 2).

    Raises:
        ValueError: if sigma is negative or not finite.
    """
    check_range("sigma_mm", sigma_mm, 0, closed=True)
    return lambda fy, fx: jnp.exp(-2 * jnp.pi**2 * sigma_mm**2 * (fy**2 + fx**2))


def lorentzian_transfer(half_frequency_mm: Scalar) -> Transfer:
    """Returns 1 / (1 + (f / f_half)^2): one half at `half_frequency_mm`, in cycles/mm.

    A heavy-tailed PSF with one parameter, as a stand-in for a scintillator whose measured MTF is
    not at hand; with one, take `jxr.optics.measured.isotropic_transfer`.

    Raises:
        ValueError: if the half frequency is not > 0.
    """
    check_range("half_frequency_mm", half_frequency_mm, 0)
    return lambda fy, fx: 1 / (1 + (fy**2 + fx**2) / half_frequency_mm**2)


def pixel_transfer(pixel_pitch_mm: Scalar | tuple[Scalar, Scalar]) -> Transfer:
    """Returns sinc(f_y p_y) sinc(f_x p_x), of pixels that are sensitive over their whole area."""
    pitch_y, pitch_x = axis_pitches(pixel_pitch_mm)
    return lambda fy, fx: jnp.sinc(fy * pitch_y) * jnp.sinc(fx * pitch_x)


def axis_pitches(pixel_pitch_mm: Scalar | tuple[Scalar, Scalar]) -> tuple[Scalar, Scalar]:
    """Returns the pitch from row to row and from column to column, each > 0."""
    both = pixel_pitch_mm if isinstance(pixel_pitch_mm, tuple) else (pixel_pitch_mm, pixel_pitch_mm)
    for pitch in both:
        check_range("pixel_pitch_mm", pitch, 0)
    return both
