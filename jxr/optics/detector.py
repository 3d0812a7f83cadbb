"""A detector's noise in its physical order, from linear intensity to the logarithm.

The chain: transmitted intensity, geometric blur, Poisson counts of the absorbed quanta, spread of
light in the scintillator (which blurs signal and noise alike and so correlates the noise), gain,
electronic noise, quantisation, guarded logarithm. Every step is a pure function; the random ones
take a key.

What it leaves out: quanta of different energies and the spread of light yield from quantum to
quantum, scatter, the anode's heel effect on intensity, aliasing of the noise by the pixel grid,
and that light from different depths spreads differently, for which a real screen's noise spectrum
falls less than its MTF^2 (doi:10.1118/1.596583).
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jxr.optics.checks import as_float, check_range
from jxr.optics.psf import Scalar
from jxr.optics.transfer import Transfer, axis_pitches, transfer_blur

# JAX's Poisson counts in float32 have a variance 45 % too high at 1e8 quanta.
LARGEST_DOSE = 1e7


@dataclass(frozen=True)
class Detector:
    """What turns quanta into digital numbers. Numbers but `bits` may be traced.

    Attributes:
        gain: digital numbers per absorbed quantum, > 0.
        electronic_noise: standard deviation in digital numbers, independent from pixel to pixel,
            >= 0.
        bits: depth of the digital numbers, 1 to 16; 0 to 2^bits - 1.
        scintillator: its transfer function (MTF) by frequencies in cycles/mm, 1 at zero; None
            spreads no light.
        pixel_pitch_mm: see `Geometry`; used with a scintillator only.
    """

    gain: Scalar
    electronic_noise: Scalar
    bits: int = 14
    scintillator: Transfer | None = None
    pixel_pitch_mm: Scalar | tuple[Scalar, Scalar] = 1.0

    def __post_init__(self):
        check_range("gain", self.gain, 0)
        check_range("electronic_noise", self.electronic_noise, 0, closed=True)
        check_range("bits", self.bits, 1, 16, closed=True)
        axis_pitches(self.pixel_pitch_mm)  # checks them


def transmitted_intensity(
    images: Float[Array, "*shape"], attenuation: Scalar
) -> Float[Array, "*shape"]:
    """Returns the intensity behind an object that the image shows as attenuation, bright = more.

    Beer-Lambert: I / I_0 = exp(-attenuation * image). A display image in [0, 1] is taken as
    proportional to the line integral, which real, processed radiographs only roughly are.

    Args:
        images: line integrals as fractions of `attenuation`.
        attenuation: the line integral of an image value of 1, >= 0; log(100) = 4.6 lets 1 %
            through.

    Returns:
        Intensity relative to the open beam.

    Raises:
        ValueError: if the attenuation is negative or not finite, or the images are no float
            numbers.
    """
    images = as_float("images", images)
    check_range("attenuation", attenuation, 0, closed=True)
    return jnp.exp(-images * jnp.asarray(attenuation, images.dtype))


def expected_counts(intensity: Float[Array, "*shape"], dose: Scalar) -> Float[Array, "*shape"]:
    """Returns the mean number of absorbed quanta: dose * intensity, none below zero.

    Args:
        intensity: relative to the open beam; a blur's ringing below zero counts as no quanta.
        dose: mean number of quanta that a pixel absorbs in the open beam, > 0 and <= 1e7 (beyond,
            counts drawn in float32 have the wrong variance); a chest X-ray's are thousands.

    Raises:
        ValueError: if the dose is out of its range, or the intensity no float numbers.
    """
    intensity = as_float("intensity", intensity)
    check_range("dose", dose, 0, LARGEST_DOSE)
    return jnp.asarray(dose, intensity.dtype) * jnp.maximum(intensity, 0)


def poisson_counts(key: Key[Array, ""], expected: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Draws independent Poisson counts; mean and variance are both `expected`.

    Whole numbers in the dtype of `expected`: exact up to 2^24 quanta in float32. Without gradient.
    """
    return jax.random.poisson(key, expected).astype(expected.dtype)


def spread_light(
    counts: Float[Array, "*batch height width channels"], detector: Detector
) -> Float[Array, "*batch height width channels"]:
    """Blurs the counts by the scintillator's MTF (`transfer_blur`, reflect boundary).

    White noise of variance n per pixel gets the power spectrum n MTF^2 and, between pixels d
    apart, the covariance n (h * h)(d) with h the light's spread from pixel to pixel. Within its
    reach of the edge, noise is correlated with its mirror image, so its variance is higher there.
    """
    if detector.scintillator is None:
        return counts
    return transfer_blur(counts, detector.scintillator, detector.pixel_pitch_mm)


def read_out(
    key: Key[Array, ""], light: Float[Array, "*shape"], detector: Detector
) -> Float[Array, "*shape"]:
    """Returns gain * light + Gaussian electronic noise, in digital numbers, not yet whole."""
    noise = jax.random.normal(key, light.shape, light.dtype)
    gain, std = (jnp.asarray(x, light.dtype) for x in (detector.gain, detector.electronic_noise))
    return gain * light + std * noise


def digitise(signal: Float[Array, "*shape"], bits: int) -> Float[Array, "*shape"]:
    """Rounds to whole digital numbers and clips to 0 ... 2^bits - 1, in the dtype of `signal`.

    Adds the variance 1/12 where the noise is wider than about half a number.

    Raises:
        ValueError: if bits is not between 1 and 16.
    """
    check_range("bits", bits, 1, 16, closed=True)
    return jnp.clip(jnp.round(signal), 0, 2**bits - 1)


def negative_log(
    numbers: Float[Array, "*shape"], open_beam: Scalar, floor: Scalar = 1.0
) -> Float[Array, "*shape"]:
    """Returns -log(max(numbers, floor) / open_beam), the measured line integral.

    Args:
        numbers: digital numbers.
        open_beam: the mean number without an object, gain * dose, > 0.
        floor: > 0; pixels without signal get its logarithm instead of infinity.

    Raises:
        ValueError: if open_beam or floor is not > 0.
    """
    check_range("open_beam", open_beam, 0)
    check_range("floor", floor, 0)
    guarded = jnp.maximum(numbers, jnp.asarray(floor, numbers.dtype))
    return jnp.log(jnp.asarray(open_beam, numbers.dtype)) - jnp.log(guarded)


def expose(
    key: Key[Array, ""],
    intensity: Float[Array, "*batch height width channels"],
    dose: Scalar,
    detector: Detector,
    *,
    blur: Callable[[Float[Array, "*shape"]], Float[Array, "*shape"]] | None = None,
) -> Float[Array, "*batch height width channels"]:
    """Returns the digital numbers of an exposure, all steps but the logarithm.

    Args:
        key: used for nothing else. One for the whole batch; for noise that follows an image
            through any batch, `jax.vmap` over one key an image.
        intensity: linear, relative to the open beam (`transmitted_intensity`).
        dose: see `expected_counts`; may be traced.
        detector: see `Detector`. An open beam of gain * dose beyond 2^bits - 1 saturates.
        blur: the geometric blur of linear intensity, for example a `LinearOperator`'s `forward`.

    Returns:
        Whole numbers from 0 to 2^bits - 1, in the dtype of `intensity`.
    """
    count_key, read_key = jax.random.split(key)
    blurred = intensity if blur is None else blur(intensity)
    counts = poisson_counts(count_key, expected_counts(blurred, dose))
    signal = read_out(read_key, spread_light(counts, detector), detector)
    return digitise(signal, detector.bits)


def detect(
    key: Key[Array, ""],
    intensity: Float[Array, "*batch height width channels"],
    dose: Scalar,
    detector: Detector,
    *,
    blur: Callable[[Float[Array, "*shape"]], Float[Array, "*shape"]] | None = None,
) -> Float[Array, "*batch height width channels"]:
    """Returns the line integrals that an exposure measures: the whole chain in physical order.

    Divided by the `attenuation` of `transmitted_intensity` it is an image like those it began
    with. Arguments are those of `expose`.

    Returns:
        -log of the digital numbers over the open beam's, at least one number (`negative_log`).
    """
    numbers = expose(key, intensity, dose, detector, blur=blur)
    return negative_log(numbers, detector.gain * dose)
