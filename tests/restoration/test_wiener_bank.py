"""The bank of Wiener estimates against SciPy's cosine transform, what it expects against draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.fft import dctn, idctn
from scipy.ndimage import gaussian_filter

from jxr.optics import blur_separable, gaussian_profile, gaussian_psf
from jxr.restoration import wiener
from jxr.restoration.wiener_bank import (
    CONDITIONS,
    FLOAT32_NOISE,
    INPUTS,
    KNOTS,
    STRENGTHS,
    kernel_width,
    radial_log_power,
    radial_power,
    wiener_bank,
)

HEIGHT, WIDTH = 24, 32
bank_of = jax.jit(wiener_bank)
# A power law, as natural images have it, of about the brightness of a radiograph.
LOG_POWER = (-2.5 * np.log(KNOTS) - 8).astype(np.float32)


def power() -> np.ndarray:
    """The same power law, without the interpolation."""
    frequencies = np.hypot(np.arange(HEIGHT)[:, None] / 2 / HEIGHT, np.arange(WIDTH) / 2 / WIDTH)
    return np.exp(-8) * np.maximum(frequencies, KNOTS[0]) ** -2.5


def transfer(sigma: float, radius: int) -> np.ndarray:
    """Eigenvalues of the reflect blur, measured on SciPy's filter by the impulse in cosines."""
    identity = np.eye(HEIGHT), np.eye(WIDTH)
    along = [
        np.diag(
            dctn(
                gaussian_filter(
                    idctn(eye, axes=(0,), norm="ortho"), (sigma, 0), mode="reflect", radius=radius
                ),
                axes=(0,),
                norm="ortho",
            )
        )
        for eye in identity
    ]
    return np.outer(*along)


def drawn_images(count: int, seed: int = 0) -> np.ndarray:
    """Gaussian images of that power, of mean 0."""
    spectrum = np.random.default_rng(seed).normal(size=(count, HEIGHT, WIDTH)) * np.sqrt(power())
    spectrum[:, 0, 0] = 0
    return idctn(spectrum, axes=(1, 2), norm="ortho")[..., None].astype(np.float32)


def test_the_power_is_interpolated_in_logarithms():
    found = radial_power(jnp.asarray(LOG_POWER), HEIGHT, WIDTH)
    np.testing.assert_allclose(found, power(), rtol=1e-5)


def test_a_measured_spectrum_gives_back_its_power_law():
    knots = radial_log_power(power())
    # Beyond half a cycle there are only the corners, mostly on one side of a knot.
    for reached, apart in ((KNOTS > 1 / 2 / HEIGHT, 0.3), ((KNOTS > 0.03) & (KNOTS < 0.5), 0.1)):
        np.testing.assert_allclose(knots[reached], LOG_POWER[reached], atol=apart)
    # What no frequency reaches has the nearest value, and the mean brightness counts nowhere.
    bright = power()
    bright[0, 0] = 1e6
    np.testing.assert_array_equal(radial_log_power(bright), knots)
    assert np.ptp(knots[KNOTS < 1 / 2 / WIDTH / 1.2]) == 0


@pytest.mark.parametrize("noise", [1e-3, 0.03])
@pytest.mark.parametrize("quantisation", [0.0, 1 / 255])
def test_estimates_are_those_of_the_wiener_filter(noise, quantisation):
    images = np.random.default_rng(1).random((2, HEIGHT, WIDTH, 1), np.float32)
    profile = gaussian_profile(1.5, radius=6)
    bank = bank_of(images, profile, LOG_POWER, noise=noise, quantisation=quantisation)
    white = noise**2 + quantisation**2 / 12
    ratio = white / power()
    best = np.asarray(jax.jit(wiener)(images, profile, jnp.asarray(ratio, jnp.float32)))
    np.testing.assert_allclose(bank.best, best, atol=2e-5)
    np.testing.assert_allclose(bank.inputs[..., 0], 4 * (best[..., 0] - 0.5), atol=1e-4)

    d = transfer(1.5, 6)
    coefficients = dctn(images[..., 0].astype(float), axes=(1, 2), norm="ortho")
    gains = [d * power() / (d**2 * power() + k * white) for k in (1, *STRENGTHS)] + [1.0]
    assert len(gains) == INPUTS
    assert bank.inputs.shape == (2, HEIGHT, WIDTH, INPUTS)
    for channel, gain in enumerate(gains[1:], start=1):
        difference = idctn((gain - gains[0]) * coefficients, axes=(1, 2), norm="ortho")
        scale = np.sqrt(np.mean((gain - gains[0]) ** 2 * (d**2 * power() + white)))
        np.testing.assert_allclose(
            bank.inputs[..., channel], difference / scale, rtol=1e-3, atol=1e-2
        )


@pytest.mark.parametrize("noise", [1e-3, 0.03])
def test_expectations_hold_for_images_of_that_power(noise):
    images = drawn_images(200)
    profile = gaussian_profile(1.0, radius=8)
    rng = np.random.default_rng(2)
    blurred = np.asarray(jax.jit(blur_separable)(images, profile))
    seen = blurred + rng.normal(0, noise, images.shape).astype(np.float32)
    bank = bank_of(seen, profile, LOG_POWER, noise=noise, width_error=0.0)
    rms = np.sqrt(np.mean((np.asarray(bank.best, np.float64) - images) ** 2))
    assert rms == pytest.approx(float(bank.error_std), rel=0.03)
    inputs = np.asarray(bank.inputs)
    np.testing.assert_allclose(np.std(inputs[..., 1:], axis=(0, 1, 2)), 1, rtol=0.05)


def test_an_uncertain_width_counts_as_what_it_changes():
    """Kernels drawn with that uncertainty leave the error that the bank expects, to first order."""
    images = drawn_images(200, seed=3)
    told, error = 1.0, 0.05
    widths = told * (1 + np.random.default_rng(4).normal(0, error, len(images)))

    def blur(image, width):
        return blur_separable(image, gaussian_profile(width, radius=8))

    seen = jax.jit(jax.vmap(blur))(images, jnp.asarray(widths, jnp.float32))
    profile = gaussian_profile(told, radius=8)
    bank = bank_of(seen, profile, LOG_POWER, noise=1e-4, width_error=error)
    certain = bank_of(seen, profile, LOG_POWER, noise=1e-4, width_error=0.0)
    rms, rms_certain = (
        np.sqrt(np.mean((np.asarray(estimate) - images) ** 2))
        for estimate in (bank.best, certain.best)
    )
    assert rms < rms_certain
    assert rms == pytest.approx(float(bank.error_std), rel=0.1)
    assert rms_certain > 1.5 * float(certain.error_std)  # it does not know of this error


def test_conditions_follow_what_is_told():
    images = jnp.full((HEIGHT, WIDTH, 1), 0.5)
    profile = gaussian_profile(2.0, radius=8)

    def conditions(**told):
        settings = {"noise": 0.01, "quantisation": 0.0, "width_error": 0.0} | told
        found = bank_of(images, profile, LOG_POWER, **settings)
        assert found.conditions.shape == (CONDITIONS,)
        return np.asarray(found.conditions)

    def expected_error(**told):
        return float(bank_of(images, profile, LOG_POWER, **told).error_std)

    plain = conditions()
    assert plain[0] == pytest.approx(1.0, abs=1e-3)  # two pixels less one
    assert plain[1] == pytest.approx(np.log10(0.01**2) / 4 + 1.5)
    assert plain[2] == pytest.approx(np.log10(expected_error(noise=0.01)) / 2 + 1, rel=1e-5)
    # Noise below a millionth is told as a millionth.
    assert conditions(noise=0.0)[1] == pytest.approx(-1.5)
    assert conditions(noise=2e-6)[1] == pytest.approx(np.log10(4e-12) / 4 + 1.5, rel=1e-3)
    assert plain[3] == 0
    assert plain[4] == 0
    assert conditions(noise=0.0, quantisation=1 / 255)[3] == pytest.approx(1.0, rel=1e-4)
    assert conditions(width_error=0.1)[4] == pytest.approx(1.0)
    assert conditions(width_error=0.1)[2] > plain[2]  # a larger error is expected


def test_without_blur_and_noise_the_image_stays_as_it_is():
    images = np.random.default_rng(5).random((HEIGHT, WIDTH, 1), np.float32)
    bank = bank_of(images, jnp.ones(1), LOG_POWER, noise=0.0)
    np.testing.assert_allclose(bank.best, images, atol=1e-6)
    assert np.isfinite(np.asarray(bank.inputs)).all()
    assert float(bank.error_std) == pytest.approx(FLOAT32_NOISE, rel=1e-3)


def test_the_width_of_profiles_and_psfs():
    assert kernel_width(gaussian_profile(2.0, radius=16)) == pytest.approx(2.0, rel=1e-5)
    assert kernel_width(gaussian_psf(2.0, radius=16)) == pytest.approx(2.0, rel=1e-5)
    assert kernel_width(jnp.ones((5, 1)) / 5) == pytest.approx(1.0)  # sqrt((2 + 0) / 2)
    assert kernel_width(jnp.ones(1)) == 0


def test_settings_may_be_traced_and_mapped():
    images = jnp.asarray(np.random.default_rng(6).random((3, HEIGHT, WIDTH, 1), np.float32))
    sigmas, noises = jnp.array([0.0, 1.0, 2.0]), jnp.array([0.0, 0.01, 0.03])
    log_power = jnp.asarray(LOG_POWER)

    def one(image, sigma, noise):
        return wiener_bank(image, gaussian_profile(sigma, radius=8), log_power, noise=noise)

    together, single = jax.jit(jax.vmap(one))(images, sigmas, noises), jax.jit(one)
    for i in range(3):
        alone = single(images[i], sigmas[i], noises[i])
        np.testing.assert_allclose(together.best[i], alone.best, atol=1e-5)
        np.testing.assert_allclose(together.inputs[i], alone.inputs, atol=5e-3)


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_without_blur_the_derivative_by_sigma_is_zero(noise):
    images = jnp.asarray(np.random.default_rng(7).random((HEIGHT, WIDTH, 1), np.float32))

    def bank(sigma):
        kernel = gaussian_profile(sigma, radius=4)
        return wiener_bank(images, kernel, jnp.asarray(LOG_POWER), noise=noise)

    slopes = jax.jit(jax.jacfwd(bank))(0.0)
    jax.tree.map(lambda slope: np.testing.assert_array_equal(slope, 0), slopes)
