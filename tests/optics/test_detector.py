"""Noise by its moments: Poisson, correlated by the scintillator, amplified, read out, quantised."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.fft import dctn

from jxr.optics.detector import (
    Detector,
    detect,
    digitise,
    expected_counts,
    expose,
    negative_log,
    poisson_counts,
    read_out,
    spread_light,
    transmitted_intensity,
)
from jxr.optics.transfer import gaussian_transfer, lorentzian_transfer, transfer_blur

PLAIN = Detector(gain=2.5, electronic_noise=4.0, bits=14)
SPREADING = Detector(2.5, 4.0, 14, lorentzian_transfer(1.4), 0.2)


@pytest.mark.parametrize("mean", [0.3, 7.0, 900.0])
def test_counts_are_poisson(mean):
    expected = jnp.full((200, 200), mean)
    counts = np.asarray(jax.jit(poisson_counts)(jax.random.key(1), expected), np.float64)
    assert (counts == np.round(counts)).all()
    assert counts.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean) / 200)
    assert counts.var() == pytest.approx(mean, rel=5 * np.sqrt((2 + 1 / mean) / 40_000))
    values = np.arange(counts.max() + 1)
    observed = np.bincount(counts.astype(int).ravel())
    common = stats.poisson.pmf(values, mean) * counts.size > 5
    expected = stats.poisson.pmf(values[common], mean)
    seen = observed[common]
    assert stats.chisquare(seen, expected / expected.sum() * seen.sum()).pvalue > 1e-3
    corners = np.corrcoef(counts[:, :-1].ravel(), counts[:, 1:].ravel())[0, 1]
    assert abs(corners) < 4 / 200


def test_dose_scales_counts_and_ringing_below_zero_has_none():
    intensity = jnp.array([1.0, 0.25, 0.0, -0.01])
    np.testing.assert_allclose(expected_counts(intensity, 400.0), [400.0, 100.0, 0.0, 0.0])
    counts = jax.jit(poisson_counts)(jax.random.key(0), expected_counts(intensity, 400.0))
    np.testing.assert_array_equal(counts[2:], 0)


def test_moments_of_the_digital_numbers():
    """Mean gain n, variance gain^2 n + electronic^2 + 1/12."""
    intensity = jnp.full((1, 160, 160, 1), 0.4)
    numbers = np.asarray(
        jax.jit(lambda k: expose(k, intensity, 500.0, PLAIN))(jax.random.key(2)), np.float64
    )
    assert (numbers == np.round(numbers)).all()
    variance = 2.5**2 * 200 + 4.0**2 + 1 / 12
    assert numbers.mean() == pytest.approx(2.5 * 200, abs=4 * np.sqrt(variance) / 160)
    assert numbers.var() == pytest.approx(variance, rel=5 * np.sqrt(2) / 160)


def test_electronic_noise_alone():
    signal = np.asarray(
        jax.jit(lambda k: read_out(k, jnp.full((160, 160), 10.0), PLAIN))(jax.random.key(3)),
        np.float64,
    )
    assert signal.mean() == pytest.approx(25, abs=4 * 4 / 160)
    assert signal.std() == pytest.approx(4, rel=4 / np.sqrt(2 * 160**2))
    assert stats.kstest((signal.ravel() - 25) / 4, "norm").pvalue > 1e-3


@pytest.fixture(scope="module")
def flat_exposures():
    """200 even exposures of 32 by 32 pixels, 300 quanta each, as deviations from their mean."""
    intensity = jnp.full((32, 32, 1), 1.0)
    keys = jax.random.split(jax.random.key(4), 200)
    shoot = jax.jit(jax.vmap(lambda k: expose(k, intensity, 300.0, SPREADING)))
    return np.asarray(shoot(keys), np.float64)[..., 0] - 2.5 * 300


def test_noise_power_follows_the_squared_mtf(flat_exposures):
    """In the cosine domain each coefficient has variance gain^2 n MTF^2 + electronic^2 + 1/12."""
    power = np.square(dctn(flat_exposures, axes=(1, 2), norm="ortho")).mean(0)
    f = np.arange(32) / 64 / 0.2
    mtf = 1 / (1 + (f[:, None] ** 2 + f**2) / 1.4**2)
    expected = 2.5**2 * 300 * mtf**2 + 4**2 + 1 / 12
    ratio = power / expected
    # Each of the 1,024 ratios is a mean of 200 squares: standard deviation 0.1 around 1.
    assert np.abs(ratio - 1).max() < 5 * np.sqrt(2 / 200)
    low, high = ratio[mtf > 0.5], ratio[mtf < 0.2]
    assert low.mean() == pytest.approx(1, abs=5 * np.sqrt(2 / 200 / low.size))
    assert high.mean() == pytest.approx(1, abs=5 * np.sqrt(2 / 200 / high.size))
    assert expected.max() / expected.min() > 20, "the test must see a slope"


def test_covariance_of_neighbours_is_that_of_the_spread(flat_exposures):
    """gain^2 n (h * h)(d) away from the edges, with h by an inverse transform on a fine grid."""
    f = np.fft.fftfreq(256, 0.2)
    mtf = 1 / (1 + (f[:, None] ** 2 + f**2) / 1.4**2)
    theory = 2.5**2 * 300 * np.fft.ifft2(mtf**2).real
    inside = flat_exposures[:, 8:24, 8:24]
    for down, right in [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (3, 0)]:
        products = inside[:, : 16 - down, : 16 - right] * inside[:, down:, right:]
        expected = theory[down, right] + (16 + 1 / 12 if down == right == 0 else 0)
        tolerance = 5 * products.mean((1, 2)).std() / np.sqrt(200)
        assert products.mean() == pytest.approx(expected, abs=tolerance)
    assert theory[0, 1] > 0.3 * theory[0, 0], "the noise must be correlated"
    assert tolerance < 0.1 * theory[0, 0]


def test_the_scintillator_keeps_counts_and_blurs_the_signal():
    counts = jnp.zeros((1, 17, 17, 1)).at[0, 8, 8, 0].set(1000.0)
    light = np.asarray(jax.jit(lambda x: spread_light(x, SPREADING))(counts))
    assert float(light.sum()) == pytest.approx(1000, rel=1e-4)
    assert float(light[0, 8, 8, 0]) < 500
    np.testing.assert_allclose(light, light[:, ::-1], atol=1e-3)
    np.testing.assert_array_equal(spread_light(counts, PLAIN), counts)


def test_blur_acts_on_linear_intensity_before_the_counts():
    """At a huge dose the chain is -log of the blurred intensity, not the blurred -log."""
    image = np.zeros((1, 24, 24, 1), np.float32)
    image[:, 6:18, 6:18] = 1
    intensity = transmitted_intensity(jnp.asarray(image), 3.0)
    np.testing.assert_allclose(intensity.min(), np.exp(-3), rtol=1e-6)
    exact = Detector(1 / 16, 0.0, 16)

    def blur(x):
        return transfer_blur(x, gaussian_transfer(1.5))

    shoot = jax.jit(lambda key, x: detect(key, x, 1e6, exact, blur=blur))
    integrals = np.asarray(shoot(jax.random.key(5), intensity))
    blur_only = jax.jit(blur)
    right = -np.log(np.asarray(blur_only(intensity)))
    wrong = np.asarray(blur_only(jnp.asarray(3 * image)))
    assert np.abs(integrals - right).max() < 0.03
    assert np.abs(integrals - wrong).max() > 0.3
    # The noise comes after the blur: white, not smooth.
    error = np.asarray(integrals - right)[0, :, :, 0]
    assert abs(np.corrcoef(error[:, :-1].ravel(), error[:, 1:].ravel())[0, 1]) < 0.2


def test_noise_of_the_line_integral_is_one_over_the_counts():
    intensity = jnp.full((1, 120, 120, 1), np.exp(-1.5), jnp.float32)
    quiet = Detector(2.0, 0.0, 16)
    shoot = jax.jit(lambda key: detect(key, intensity, 20_000.0, quiet))
    integrals = np.asarray(shoot(jax.random.key(6)), np.float64)
    counts = 20_000 * np.exp(-1.5)
    assert integrals.mean() == pytest.approx(1.5, abs=4 / np.sqrt(counts) / 120)
    assert integrals.var() == pytest.approx(1 / counts, rel=0.06)


def test_the_logarithm_is_guarded():
    numbers = jnp.array([0.0, 0.5, 1.0, 10.0, 100.0])
    np.testing.assert_allclose(
        negative_log(numbers, 100.0), np.log([100.0, 100.0, 100.0, 10.0, 1.0]), rtol=1e-6
    )
    np.testing.assert_allclose(negative_log(numbers[:1], 100.0, 0.1), np.log(1000.0), rtol=1e-6)
    # An object that lets nothing through, and one without dose, stay finite in the whole chain.
    shoot = jax.jit(lambda key: detect(key, jnp.zeros((1, 8, 8, 1)), 100.0, SPREADING))
    dark = shoot(jax.random.key(0))
    assert np.isfinite(dark).all()


def test_digitise_rounds_and_saturates():
    np.testing.assert_array_equal(
        digitise(jnp.array([-3.0, 0.4, 0.6, 254.6, 400.0]), 8), [0, 0, 1, 255, 255]
    )


def test_keyed_and_batched():
    intensity = jnp.full((3, 8, 8, 1), 0.5)
    one, two = jax.random.key(1), jax.random.key(2)

    @jax.jit
    @jax.vmap
    def batched(key, dose):
        return expose(key, intensity, dose, SPREADING)

    def shoot(keys, doses):
        return np.asarray(batched(jnp.stack(keys), jnp.array(doses)))

    even = [100.0, 100.0, 100.0]
    first, second = shoot([one, two, one], even), shoot([two, one, one], even)
    np.testing.assert_array_equal(first[0], first[2])
    assert (first[0] != first[1]).mean() > 0.5
    np.testing.assert_array_equal(first[1], second[0], "noise follows the key")
    means = shoot([one, one, one], [10.0, 100.0, 1000.0]).mean((1, 2, 3, 4))
    np.testing.assert_allclose(means, [12.5, 125, 1250], rtol=0.1)


def test_float64_is_kept():
    with jax.enable_x64(True):
        # Shapes and dtypes only: nothing is compiled.
        images = jax.ShapeDtypeStruct((1, 4, 4, 1), jnp.float64)
        numbers = jax.eval_shape(lambda x: detect(jax.random.key(0), x, 100.0, SPREADING), images)
        assert numbers.dtype == jnp.float64
