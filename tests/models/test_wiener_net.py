"""The network on Wiener estimates against PyTorch, and what a restorer promises."""

import json
from pathlib import Path

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors import safe_open
from safetensors.numpy import save_file

from jxr.data.phantoms import phantom
from jxr.errors import UserError
from jxr.models import WienerNet, apply, load_restorer, named_leaves, save_restorer
from jxr.models import restorer as restorer_module
from jxr.models.restorer import Restorer, check_images
from jxr.models.wiener_net import depth_to_space, space_to_depth
from jxr.optics import gaussian_blur, gaussian_profile, gaussian_psf, quantise
from jxr.restoration.wiener_bank import CONDITIONS, INPUTS, KNOTS, wiener_bank
from tests.models.test_unet import random_model

LOG_POWER = (-2.5 * np.log(KNOTS) - 8).astype(np.float32)
# One shape of images and one length of profiles, so that a restorer is compiled once.
SHAPE, RADIUS = (2, 16, 18, 1), 6
wiener_bank = jax.jit(wiener_bank)
gaussian_blur = jax.jit(gaussian_blur, static_argnames="radius")
network = jax.jit(apply, static_argnums=0)


def random_images(seed: int, shape=SHAPE):
    return jnp.asarray(np.random.default_rng(seed).random(shape), jnp.float32)


def profile_of(sigma: float):
    return gaussian_profile(sigma, radius=RADIUS)


def small_net(blocks: int = 2):
    return random_model(lambda rngs: WienerNet(width=6, blocks=blocks, rngs=rngs))


def small_restorer(scale: float = 1.0) -> Restorer:
    """Random weights, so that the network does something."""
    graphdef, params = small_net()
    params = jax.tree.map(lambda leaf: scale * leaf, params)
    return Restorer(graphdef, {**params, "log_power": jnp.asarray(LOG_POWER)})


@pytest.mark.torch
def test_the_network_equals_pytorch():
    torch = pytest.importorskip("torch")
    graphdef, params = small_net()
    rng = np.random.default_rng(2)
    inputs = rng.normal(size=(2, 10, 12, INPUTS)).astype(np.float32)
    conditions = rng.normal(size=(2, CONDITIONS)).astype(np.float32)

    def conv(layer, x):
        kernel = torch.tensor(np.asarray(layer["kernel"])).permute(3, 2, 0, 1)
        return torch.nn.functional.conv2d(
            x, kernel, torch.tensor(np.asarray(layer["bias"])), padding=1
        )

    x = torch.tensor(inputs).permute(0, 3, 1, 2)
    # PyTorch puts the channel before the place in the block, we put it behind.
    unshuffled = torch.nn.functional.pixel_unshuffle(x, 2)
    order = np.arange(4 * INPUTS).reshape(INPUTS, 4).T.ravel()
    x = conv(params["first"], unshuffled[:, order])
    for block in range(2):
        layers = params[f"block{block}"]
        shift = torch.tensor(conditions @ np.asarray(layers["shift"]["kernel"]))
        x = x + conv(layers["conv2"], torch.relu(conv(layers["conv1"], x) + shift[..., None, None]))
    x = torch.nn.functional.pixel_shuffle(conv(params["last"], torch.relu(x)), 2)
    found = apply(graphdef, params, jnp.asarray(inputs), jnp.asarray(conditions))
    np.testing.assert_allclose(found, x.permute(0, 2, 3, 1), rtol=1e-4, atol=1e-4)


def test_blocks_of_pixels_become_channels_and_back():
    x = jnp.arange(2 * 4 * 6 * 3, dtype=jnp.float32).reshape(2, 4, 6, 3)
    deep = space_to_depth(x)
    np.testing.assert_array_equal(deep[1, 1, 2], x[1, 2:4, 4:6].reshape(12))
    np.testing.assert_array_equal(depth_to_space(deep), x)


def test_images_of_any_size_and_the_count_of_numbers():
    graphdef, params = small_net()
    inputs = jnp.asarray(np.random.default_rng(3).normal(size=(1, 9, 11, INPUTS)), jnp.float32)
    assert apply(graphdef, params, inputs, jnp.zeros((1, CONDITIONS))).shape == (1, 9, 11, 1)
    full = nnx.eval_shape(lambda: WienerNet(rngs=nnx.Rngs(0)))
    count = sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(full)))
    # first, five blocks of two convolutions and a dense layer, last, the spectrum.
    assert count == (24 * 9 + 1) * 64 + 5 * (2 * (64 * 9 + 1) * 64 + 5 * 64) + (64 * 9 + 1) * 4 + 32


def test_initial_scales():
    """He's, but for the last convolution of each block and of all, which start at zero."""
    params = nnx.to_pure_dict(nnx.state(WienerNet(width=48, blocks=1, rngs=nnx.Rngs(0))))
    block = params["block0"]
    for layer, n_in in ((params["first"], 4 * INPUTS), (block["conv1"], 48)):
        kernel = np.asarray(layer["kernel"])
        np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (9 * n_in)), rtol=0.05)
    for layer in (block["conv2"], params["last"]):
        assert not np.asarray(layer["kernel"]).any()


def test_an_untrained_network_is_the_best_linear_estimate():
    build = lambda: WienerNet(  # noqa: E731
        width=6, blocks=2, log_power=jnp.asarray(LOG_POWER), rngs=nnx.Rngs(0)
    )
    graphdef, _ = small_net()
    restorer = Restorer(graphdef, jax.jit(lambda: nnx.to_pure_dict(nnx.state(build())))())
    profile = profile_of(1.0)
    blurred = gaussian_blur(random_images(4), 1.0, radius=RADIUS)
    bank = wiener_bank(blurred, profile, jnp.asarray(LOG_POWER), noise=0.01, quantisation=1 / 255)
    found = restorer(blurred, profile, noise=0.01)
    np.testing.assert_allclose(found, np.clip(bank.best, 0, 1), atol=1e-5)


def test_what_the_network_adds_is_in_units_of_the_expected_error():
    restorer = small_restorer(0.1)
    images = random_images(5) / 4 + 0.4
    profile = profile_of(1.0)
    for noise in (0.003, 0.03):
        bank = wiener_bank(images, profile, jnp.asarray(LOG_POWER), noise=noise)
        conditions = jnp.broadcast_to(bank.conditions, (2, CONDITIONS))
        correction = network(restorer.graphdef, restorer.params, bank.inputs, conditions)
        assert np.abs(correction).max() > 0.1
        expected = np.clip(bank.best + bank.error_std * correction, 0, 1)
        found = restorer(images, profile, noise=noise, quantisation=0)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_batch_axes_and_kinds_of_kernels_make_no_difference():
    restorer = small_restorer(0.1)
    images = random_images(6, (2, 3, 12, 14, 1))
    profile, psf = profile_of(1.0), gaussian_psf(1.0, radius=RADIUS)
    together = restorer(images, profile, noise=0.01)
    assert together.shape == images.shape
    alone = restorer(images[1, 2], psf, noise=0.01)
    np.testing.assert_allclose(together[1, 2], alone, atol=2e-5)


def test_exported_for_batches_of_any_size():
    restorer, profile = small_restorer(0.1), profile_of(1.0)
    (batch,) = jax.export.symbolic_shape("batch")
    like = jax.ShapeDtypeStruct((batch, 12, 14, 1), jnp.float32)
    exported = jax.export.export(jax.jit(lambda images: restorer(images, profile, noise=0.01)))
    images = random_images(8, (3, 12, 14, 1))
    expected = restorer(images, profile, noise=0.01)
    np.testing.assert_allclose(exported(like).call(images), expected, atol=2e-5)


def test_float64_images_get_a_float64_linear_estimate():
    restorer = small_restorer(0.0)  # no correction at all
    images = np.random.default_rng(7).random(SHAPE)
    errors = {}
    for dtype in (np.float32, np.float64):
        with jax.enable_x64(dtype is np.float64):
            profile = gaussian_profile(1.0, radius=12).astype(dtype)
            blurred = gaussian_blur(jnp.asarray(images, dtype), 1.0, radius=12)
            found = restorer(blurred, profile, noise=0.0, quantisation=0.0)
            assert found.dtype == dtype
            errors[dtype] = np.abs(np.asarray(found) - images).max()
    assert errors[np.float64] < 1e-5
    assert errors[np.float64] < errors[np.float32] / 5


def test_weights_survive_the_way_to_the_file_and_back(tmp_path):
    restorer = small_restorer()
    save_restorer(restorer.params, tmp_path / "folder" / "net.safetensors")
    loaded = load_restorer(tmp_path / "folder" / "net.safetensors")
    assert loaded.fingerprint == restorer.fingerprint
    for name, leaf in named_leaves(restorer.params).items():
        np.testing.assert_array_equal(leaf, named_leaves(loaded.params)[name])
    other = loaded.with_spectrum(jnp.zeros(len(KNOTS)))
    assert other.fingerprint != loaded.fingerprint
    images, profile = random_images(10), profile_of(1.0)
    np.testing.assert_array_equal(
        loaded(images, profile, noise=0.01), restorer(images, profile, noise=0.01)
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("first/bias"), r"holds no restorer \(first/bias is missing\)"),
        (lambda t: t.pop("block0/conv2/kernel"), r"'block0/conv2/kernel' is missing"),
        (lambda t: t.update(more=np.zeros(3, np.float32)), r"'more' is .*, wanted none"),
        (
            lambda t: t.update({"last/bias": np.zeros(3, np.float32)}),
            r"'last/bias' is \(\(3,\), 'float32'\), wanted \(\(4,\), 'float32'\)",
        ),
        (
            lambda t: t.update({"last/bias": np.zeros(4, np.float16)}),
            r"'last/bias' is \(\(4,\), 'float16'\)",
        ),
        (lambda t: t.update({"first/bias": np.zeros((), np.float32)}), r"tensor 'block0"),
    ],
)
def test_other_weights_are_refused_by_name(change, message, tmp_path):
    leaves = {k: np.asarray(v) for k, v in named_leaves(small_restorer().params).items()}
    change(leaves)
    save_file(leaves, tmp_path / "net.safetensors")
    with pytest.raises(UserError, match=message):
        load_restorer(tmp_path / "net.safetensors")


def test_files_that_are_none(tmp_path):
    with pytest.raises(UserError, match="no weights file"):
        load_restorer(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(UserError, match=r"text\.safetensors is not .*export_restorer"):
        load_restorer(tmp_path / "text.safetensors")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write here"):
        save_restorer(small_restorer().params, tmp_path / "file" / "net.safetensors")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    path.write_text("the old one")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match="No space left"):
        save_restorer(small_restorer().params, path)
    assert path.read_text() == "the old one"


def test_the_shipped_weights_are_small_and_lower_the_error_of_the_best_linear_estimate():
    path = Path(restorer_module.__file__).parent / restorer_module.SHIPPED
    assert path.stat().st_size < 8_000_000
    with safe_open(path, framework="numpy") as file:
        assert json.loads(file.metadata()["config"])["net"]["width"] == 64
    restorer = load_restorer()
    # Of a size that test_phantoms uses too: the program takes seconds to compile.
    images = np.stack([phantom(jax.random.key(i), i, size=128) for i in range(3)])
    kernel = gaussian_profile(2.0, radius=8)
    blurred = quantise(gaussian_blur(jnp.asarray(images), 2.0, radius=8))
    restored = restorer(blurred, kernel, noise=0.0)
    bank = wiener_bank(
        blurred, kernel, restorer.params["log_power"], noise=0.0, quantisation=1 / 255
    )
    errors = [np.square(np.asarray(x) - images).mean() for x in (restored, bank.best, blurred)]
    assert errors[0] < 0.9 * errors[1] < errors[2]


def test_below_the_trained_noise_corrections_count_by_the_expected_error():
    restorer = small_restorer(0.1)
    # In float64: so little noise is amplified a million times, and rounding with it.
    with jax.enable_x64(True):
        images = jnp.asarray(np.random.default_rng(8).random(SHAPE) / 4 + 0.4)
        log_power = jnp.asarray(LOG_POWER, jnp.float64)
        for sigma, noise in ((0.7, 0.9e-6), (0.7, 1.1e-6), (3.0, 0.9e-6)):
            profile = gaussian_profile(sigma, radius=12)
            bank = wiener_bank(images, profile, log_power, noise=noise)
            expected_mse = float(bank.error_std) ** 2
            trust = 1 if noise > 1e-6 else min(1, expected_mse / 1e-4)
            assert (trust < 1e-3) == (noise < 1e-6 and sigma < 1)
            found = restorer(images, profile, noise=noise, quantisation=0.0)
            inputs = bank.inputs.astype(jnp.float32)
            conditions = jnp.stack(2 * [bank.conditions.astype(jnp.float32)])
            correction = network(restorer.graphdef, restorer.params, inputs, conditions)
            expected = np.clip(bank.best + trust * bank.error_std * correction, 0, 1)
            np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_uncertain_width_and_another_spectrum_reach_the_estimates():
    restorer = small_restorer(0.1)
    images = random_images(9)
    profile, other = profile_of(1.5), jnp.asarray(LOG_POWER) - 2
    bank = wiener_bank(images, profile, other, noise=0.01, width_error=0.1)
    conditions = jnp.stack(2 * [bank.conditions])
    correction = network(restorer.graphdef, restorer.params, bank.inputs, conditions)
    expected = np.clip(bank.best + bank.error_std * correction, 0, 1)
    changed = restorer.with_spectrum(other)
    found = changed(images, profile, noise=0.01, quantisation=0.0, width_error=0.1)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - changed(images, profile, noise=0.01, quantisation=0.0)).max() > 1e-3


def test_kernels_and_images_that_will_not_do_are_refused():
    restorer, images = small_restorer(), jnp.full((1, 8, 8, 1), 0.5)
    with pytest.raises(ValueError, match="not symmetric"):
        restorer(images, jnp.array([0.2, 0.5, 0.3]), noise=0.01)
    with pytest.raises(ValueError, match="pad it to odd sizes"):
        restorer(images, jnp.array([0.5, 0.5]), noise=0.01)
    with pytest.raises(ValueError, match="must be float32 or float64"):
        restorer(images.astype(jnp.float16), gaussian_profile(1.0, radius=4), noise=0.01)
    with pytest.raises(ValueError, match=r"log_power is of shape \(5,\)"):
        restorer.with_spectrum(restorer.params["log_power"][:5])


def test_channels_are_restored_one_by_one_or_not_at_all():
    check = check_images.__wrapped__  # as users have it, without the check of its signature
    with pytest.raises(ValueError, match="2 channels, the network takes one: restore each alone"):
        check(np.zeros((1, 8, 8, 2), np.float32))
    with pytest.raises(ValueError, match="axes"):
        check(np.zeros((8, 8), np.float32))
    with pytest.raises(ValueError, match="must be float32 or float64"):
        check(np.zeros((8, 8, 1), np.uint8))
    check(np.zeros((8, 8, 1), np.float32))


def test_float32_images_stay_float32_under_x64():
    with jax.enable_x64(True):
        images = jnp.full((1, 8, 8, 1), 0.5, jnp.float32)
        profile = gaussian_profile(1.0, radius=4).astype(jnp.float32)
        assert small_restorer()(images, profile, noise=0.01).dtype == jnp.float32


@pytest.mark.parametrize("name", ["noise", "quantisation", "width_error"])
def test_impossible_numbers_are_refused(name):
    restorer, images = small_restorer(), jnp.full((1, 8, 8, 1), 0.5)
    with pytest.raises(ValueError, match=f"{name} must be finite, >= 0, not -1"):
        restorer(images, gaussian_profile(1.0, radius=4), **{"noise": 0.01, name: -1.0})
