"""The task of one restorer for all blurs: what is drawn, what is told, what the loss measures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import kstest

from jxr import rng
from jxr.config import DegradationRange, WienerNetConfig
from jxr.restoration.wiener_bank import KNOTS, wiener_bank
from jxr.training.wiener_net_task import Setting, draw_setting, observe, profile, wiener_net_task

LOG_POWER = jnp.asarray(-2.5 * np.log(KNOTS) - 8, jnp.float32)
RANGES = DegradationRange()


@pytest.fixture(scope="module")
def settings():
    keys = jax.random.split(jax.random.key(0), 20_000)
    draw = jax.jit(jax.vmap(lambda key: draw_setting(key, RANGES)))
    return jax.tree.map(np.asarray, draw(keys))


def test_settings_are_drawn_as_documented(settings):
    assert kstest(settings.sigma / 3, "uniform").pvalue > 1e-3
    silent = settings.noise == 0
    assert silent.mean() == pytest.approx(0.4, abs=0.02)
    assert settings.eight_bit[silent].all()
    little = ~silent & (settings.noise < 1e-3)
    assert little.mean() == pytest.approx(0.2, abs=0.02)
    assert not settings.eight_bit[little].any()
    much = settings.noise >= 1e-3
    assert settings.eight_bit[much].mean() == pytest.approx(1 / 3, abs=0.03)
    assert settings.noise.max() <= 0.03
    logs = np.log(settings.noise[much] / 1e-3) / np.log(30)
    assert kstest(logs, "uniform").pvalue > 1e-3
    logs = np.log10(settings.noise[little] / 1e-6) / 3
    assert kstest(logs, "uniform").pvalue > 1e-3


def test_settings_stay_within_other_ranges():
    ranges = DegradationRange(max_sigma=1.5, max_noise=0.01, width_error=0.4)
    keys = jax.random.split(jax.random.key(1), 5000)
    found = jax.tree.map(np.asarray, jax.jit(jax.vmap(lambda key: draw_setting(key, ranges)))(keys))
    assert 1.49 < found.sigma.max() <= 1.5
    assert 0.0095 < found.noise.max() <= 0.01
    off = np.abs(found.told_sigma / found.sigma - 1)
    assert 0.39 < off.max() <= 0.4 + 1e-6
    np.testing.assert_allclose(found.width_error.max(), 0.4 / np.sqrt(3), rtol=1e-6)


def test_a_quarter_is_told_a_wrong_width_and_warned(settings):
    off = settings.told_sigma / settings.sigma - 1
    warned = settings.width_error > 0
    assert warned.mean() == pytest.approx(0.25, abs=0.02)
    np.testing.assert_allclose(off[~warned], 0, atol=1e-6)
    # The standard deviation of what is even within a fifth is what they are warned of.
    assert off[warned].std() == pytest.approx(settings.width_error[warned][0], rel=0.03)
    assert np.abs(off[warned]).max() <= 0.2 + 1e-6


def test_what_is_drawn_is_drawn_independently(settings):
    """A key that is used twice ties one draw to another."""
    off = settings.told_sigma / settings.sigma - 1
    warned, silent, much = settings.width_error > 0, settings.noise == 0, settings.noise >= 1e-3
    logs = np.log(settings.noise[much])
    for one, other in (
        (settings.sigma, warned),
        (settings.sigma, silent),
        (warned, silent),
        (settings.sigma[warned], off[warned]),
        (silent[warned], off[warned]),
        (settings.sigma[much], logs),
        (warned[much], logs),
    ):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.06  # of 5000 draws or more: 4 deviations


@jax.jit
def seen_in(setting, image):
    return observe(image, setting, jax.random.key(2), RANGES)


@pytest.mark.parametrize("sigma", [0.0, 0.7, 3.0])
def test_images_are_blurred_as_by_scipy(sigma):
    image = np.random.default_rng(0).random((32, 32, 1), np.float32)
    setting = Setting(
        sigma=jnp.float32(sigma),
        told_sigma=jnp.float32(1.0),
        width_error=jnp.float32(0.1),
        noise=jnp.float32(0.0),
        eight_bit=jnp.asarray(False),
    )
    found = seen_in(setting, jnp.asarray(image))
    radius = max(1, int(np.ceil(4 * sigma)))
    expected = gaussian_filter(image.astype(float), (sigma, sigma, 0), radius=(radius, radius, 0))
    np.testing.assert_allclose(found, expected, atol=2e-6)
    eight = seen_in(setting._replace(eight_bit=jnp.asarray(True)), jnp.asarray(image))
    np.testing.assert_allclose(eight, np.round(np.asarray(found) * 255) / 255, atol=1e-7)


def test_noise_comes_before_the_rounding():
    setting = Setting(*map(jnp.float32, (1.0, 1.0, 0.0, 0.05)), eight_bit=jnp.asarray(False))
    noisy = np.asarray(seen_in(setting, jnp.full((32, 32, 1), 0.5)))
    assert noisy.std() == pytest.approx(0.05, rel=0.1)
    rounded = seen_in(setting._replace(eight_bit=jnp.asarray(True)), jnp.full((32, 32, 1), 0.5))
    np.testing.assert_allclose(rounded, np.round(noisy * 255) / 255, atol=1e-6)


def test_profiles_end_at_four_standard_deviations():
    weights = np.asarray(profile(jnp.asarray(1.2), RANGES))
    assert len(weights) == 2 * 15 + 1  # three pixels and a fifth more
    np.testing.assert_array_equal(np.flatnonzero(weights), np.arange(10, 21))
    assert weights.sum() == pytest.approx(1)


def test_a_new_network_starts_at_the_linear_limit():
    """On images of the very power that it is told, its loss is 1."""
    generator = np.random.default_rng(3)
    size = 64
    frequencies = np.hypot(np.arange(size)[:, None], np.arange(size)) / 2 / size
    from scipy.fft import idctn

    power = np.exp(-8) * np.maximum(frequencies, KNOTS[0]) ** -2.5
    spectrum = generator.normal(size=(64, size, size)) * np.sqrt(power)
    spectrum[:, 0, 0] = 0.5 * size  # half grey
    images = idctn(spectrum, axes=(1, 2), norm="ortho")[..., None].astype(np.float32)
    task = wiener_net_task(
        WienerNetConfig(width=4, blocks=1, crop=0), DegradationRange(width_error=0.0011), LOG_POWER
    )
    batch = {"image": jnp.asarray(images), "example_id": jnp.arange(64, dtype=jnp.int32)}
    params = jax.jit(task.init)(jax.random.key(0))
    losses = jax.jit(task.losses)(params, batch, jax.random.key(1))
    assert float(jnp.median(losses)) == pytest.approx(1, abs=0.1)


def test_the_linear_estimate_is_told_of_width_noise_and_quantisation():
    """A new network corrects nothing: its loss is the error of the estimate, in expected units."""
    ranges = DegradationRange(width_error=0.6)
    images = jnp.asarray(np.random.default_rng(5).random((16, 32, 32, 1)), jnp.float32)
    ids, key = jnp.arange(16, dtype=jnp.int32), jax.random.key(3)
    task = wiener_net_task(WienerNetConfig(width=4, blocks=1, crop=0), ranges, LOG_POWER)
    params = jax.jit(task.init)(jax.random.key(0))
    losses = jax.jit(task.losses)(params, {"image": images, "example_id": ids}, key)

    def by_hand(image, key):
        setting = draw_setting(rng.stream(key, "setting"), ranges)
        bank = wiener_bank(
            observe(image, setting, rng.stream(key, "noise"), ranges),
            profile(setting.told_sigma, ranges),
            LOG_POWER,
            noise=setting.noise,
            quantisation=setting.eight_bit / 255,
            width_error=setting.width_error,
        )
        return jnp.square((bank.best - image) / bank.error_std).mean(), setting

    keys = rng.per_example(rng.stream(key, "degradation"), ids)
    expected, settings = jax.jit(jax.vmap(by_hand))(images, keys)
    np.testing.assert_allclose(losses, expected, rtol=1e-3)
    # All that it may be told is told some of them.
    assert (settings.width_error > 0).any()
    assert settings.eight_bit.any()
    assert (~settings.eight_bit & (settings.noise > 1e-3)).any()


def test_examples_keep_their_setting_in_any_batch_and_the_spectrum_is_not_learnt():
    images = jnp.asarray(np.random.default_rng(4).random((4, 32, 32, 1)), jnp.float32)
    task = wiener_net_task(WienerNetConfig(width=4, blocks=1, crop=16), RANGES, LOG_POWER)
    params = jax.jit(task.init)(jax.random.key(0))
    losses = jax.jit(task.losses)
    np.testing.assert_array_equal(params["log_power"], LOG_POWER)
    batch = {"image": images, "example_id": jnp.arange(4, dtype=jnp.int32)}
    all_four = np.asarray(losses(params, batch, jax.random.key(1)))
    # Others beside them, so that one program does.
    others = {name: values[jnp.array([2, 0, 0, 1])] for name, values in batch.items()}
    np.testing.assert_allclose(
        losses(params, others, jax.random.key(1)), all_four[[2, 0, 0, 1]], rtol=1e-4
    )
    assert (all_four != losses(params, batch, jax.random.key(2))).all()
    mean = lambda p: task.losses(p, batch, jax.random.key(1)).mean()  # noqa: E731
    gradients = jax.jit(jax.grad(mean))(params)
    assert not np.asarray(gradients["log_power"]).any()
    assert np.asarray(gradients["last"]["kernel"]).any()
