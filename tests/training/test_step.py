"""The train step against PyTorch's Adam, and the tasks against plain NumPy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.ndimage import convolve1d
from scipy.special import ndtr

from jxr import rng
from jxr.config import BlurConfig, HeadConfig, UNetConfig
from jxr.optics import gaussian_blur
from jxr.studies.restorers import unet_restorer
from jxr.training.step import Task, init_state, length, make_train_step
from jxr.training.tasks import blurred_images, classifier_task, random_crop, restorer_task

blurred_by = jax.jit(gaussian_blur, static_argnames="radius")
pairs_of = jax.jit(blurred_images, static_argnames="blur")


def on_device(**arrays):
    return {name: jnp.asarray(array) for name, array in arrays.items()}


@pytest.mark.torch
def test_head_follows_torch_adam_over_several_steps():
    torch = pytest.importorskip("torch")
    config = HeadConfig(hidden=(5,), dropout=0.0)
    task = classifier_task(config, in_features=7)
    optimizer = optax.adam(1e-2)
    state = jax.jit(lambda: init_state(task, optimizer, jax.random.key(0)))()
    head = state.params
    layers = []
    for name in sorted(head):
        kernel, bias = np.asarray(head[name]["kernel"]), np.asarray(head[name]["bias"])
        linear = torch.nn.Linear(*kernel.shape)
        linear.weight.data = torch.tensor(kernel.T.copy())
        linear.bias.data = torch.tensor(bias.copy())
        layers += [linear, torch.nn.ReLU()]
    peer = torch.nn.Sequential(*layers[:-1])
    adam = torch.optim.Adam(peer.parameters(), lr=1e-2)

    features = np.random.default_rng(0).normal(size=(8, 7)).astype(np.float32)
    labels = np.array([0, 1, 1, 0, 1, 0, 0, 1], np.int32)
    batch = on_device(features=features, label=labels, example_id=np.arange(8, dtype=np.int32))
    step = jax.jit(make_train_step(task, optimizer))
    for _ in range(20):
        state, (loss, norm) = step(state, batch, jax.random.key(1))
        peer_loss = torch.nn.functional.cross_entropy(
            peer(torch.tensor(features)), torch.tensor(labels).long()
        )
        np.testing.assert_allclose(loss, peer_loss.item(), rtol=2e-5)
        adam.zero_grad()
        peer_loss.backward()
        peer_norm = sum((p.grad**2).sum() for p in peer.parameters()) ** 0.5
        np.testing.assert_allclose(norm, peer_norm.item(), rtol=2e-5)
        adam.step()
    assert int(state.step) == 20
    assert loss < 0.5  # it learns, so the two do not merely agree on standing still


def test_every_step_draws_anew_by_its_number():
    def losses(params, batch, key):
        return params + jax.random.uniform(key, (2,))

    task, optimizer = Task(init=lambda key: jnp.zeros(()), losses=losses), optax.sgd(0.0)
    state, key = init_state(task, optimizer, jax.random.key(0)), jax.random.key(1)
    step = jax.jit(make_train_step(task, optimizer))
    for number in range(3):
        state, (loss, _) = step(state, on_device(example_id=np.arange(2, dtype=np.int32)), key)
        drawn = jax.random.uniform(jax.random.fold_in(key, number), (2,))
        np.testing.assert_allclose(loss, drawn.mean(), rtol=1e-6)


def test_a_head_learns_with_the_dropout_of_its_config():
    """Each hidden number is 1 before dropout, and the first logit is their mean after it."""
    count = 400
    task = classifier_task(HeadConfig(hidden=(count,), dropout=0.2), in_features=count)
    mean = jnp.stack([jnp.full(count, 1 / count), jnp.zeros(count)], axis=1)
    params = {
        "hidden0": {"kernel": jnp.eye(count), "bias": jnp.zeros(count)},
        "logits": {"kernel": mean, "bias": jnp.zeros(2)},
    }
    ids = np.arange(50, dtype=np.int32)
    batch = on_device(features=np.ones((50, count), np.float32), label=0 * ids, example_id=ids)
    losses = np.asarray(jax.jit(task.losses)(params, batch, jax.random.key(0)), float)
    kept = -np.log(np.expm1(losses)) * 0.8  # cross-entropy is log(1 + exp(-logit))
    assert kept.mean() == pytest.approx(0.8, abs=0.01)
    assert kept.std() == pytest.approx(np.sqrt(0.8 * 0.2 / count), rel=0.4)


def test_gradients_of_any_rank_have_their_length():
    leaves = [np.random.default_rng(0).normal(size=(2, 3, 4)), np.array([3.0, -1.0]), np.array(4.0)]
    expected = np.linalg.norm(np.concatenate([leaf.ravel() for leaf in leaves]))
    np.testing.assert_allclose(
        jax.jit(length)([np.float32(leaf) for leaf in leaves]), expected, rtol=1e-6
    )


def test_blurring_pairs_are_made_from_the_originals_of_the_batch():
    blur = BlurConfig(sigma=2.0)
    images = jnp.asarray(np.random.default_rng(0).random((2, 32, 32, 1), np.float32))
    found = blurred_images(images, jnp.arange(2), jax.random.key(0), blur)
    np.testing.assert_array_equal(found, gaussian_blur(images, 2.0, radius=8))


def test_blurring_pairs_follow_every_field_of_the_setting():
    blur = BlurConfig(sigma=2.8, convention="report", sampling="integrated", boundary="edge")
    images = np.random.default_rng(0).random((2, 32, 32, 1), np.float32)
    # Four standard deviations are 7.9 pixels.
    masses = np.diff(ndtr((np.arange(-8, 10) - 0.5) / (2.8 / np.sqrt(2))))
    expected = images.astype(np.float64)
    for axis in (1, 2):
        expected = convolve1d(expected, masses / masses.sum(), axis=axis, mode="nearest")
    ids, key = jnp.arange(2), jax.random.key(0)
    found = pairs_of(jnp.asarray(images), ids, key, blur)
    np.testing.assert_allclose(found, expected, atol=5e-7)
    eight_bit = dataclasses.replace(blur, input_precision="8bit")
    levels = 255 * np.asarray(pairs_of(jnp.asarray(images), ids, key, eight_bit))
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
    np.testing.assert_allclose(levels, 255 * expected, atol=0.501)


def test_noise_may_be_given_in_place_of_the_setting_s():
    images, key = jnp.full((1, 32, 32, 1), 0.5), jax.random.key(0)
    blur = BlurConfig(sigma=0.5)
    given = pairs_of(images, jnp.arange(1), key, blur, noise=jnp.float32(0.1))
    assert float(given.std()) == pytest.approx(0.1, rel=0.1)
    of_setting = pairs_of(images, jnp.arange(1), key, dataclasses.replace(blur, noise=0.1))
    np.testing.assert_allclose(given, of_setting, atol=1e-6)


def test_noise_follows_the_example_and_not_its_place_in_the_batch():
    blur = BlurConfig(sigma=0.5, noise=0.1)
    images = jnp.full((4, 32, 32, 1), 0.5)
    noisy = jax.jit(lambda ids: blurred_images(images[: len(ids)], ids, jax.random.key(0), blur))
    found = np.asarray(noisy(jnp.array([7, 3, 9, 1])))
    np.testing.assert_array_equal(noisy(jnp.array([9, 7])), found[[2, 0]])
    assert abs(found.std() - 0.1) < 0.005


def test_restorer_loss_is_the_mean_squared_error_to_the_original():
    task = restorer_task(UNetConfig(width=2, depth=1, residual=True), BlurConfig(sigma=2.0))
    images = jnp.asarray(np.random.default_rng(0).random((2, 32, 32, 1), np.float32))
    batch = on_device(image=images, example_id=np.arange(2, dtype=np.int32))
    # A residual U-Net starts as the identity, so its first loss is what the blur took away.
    params = jax.jit(task.init)(jax.random.key(0))
    losses = jax.jit(task.losses)(params, batch, jax.random.key(1))
    lost = np.square(np.asarray(blurred_by(images, 2.0, radius=8), np.float64) - images)
    np.testing.assert_allclose(losses, lost.mean(axis=(1, 2, 3)), rtol=1e-5)


def test_three_equal_channels_go_through_a_network_of_three():
    config = UNetConfig(width=4, depth=1, residual=True, channels=3)
    task = restorer_task(config, BlurConfig(sigma=2.0))
    params = jax.jit(task.init)(jax.random.key(0))
    assert params["down0"]["conv1"]["kernel"].shape == (3, 3, 3, 4)
    assert params["head"]["bias"].shape == (3,)
    images = jnp.asarray(np.random.default_rng(0).random((2, 32, 32, 1), np.float32))
    batch = on_device(image=images, example_id=np.arange(2, dtype=np.int32))
    losses = jax.jit(task.losses)(params, batch, jax.random.key(1))
    lost = np.square(np.asarray(blurred_by(images, 2.0, radius=8), np.float64) - images)
    np.testing.assert_allclose(losses, lost.mean(axis=(1, 2, 3)), rtol=1e-5)
    # Different outputs of the three channels are averaged: one image comes back.
    params["head"]["bias"] = jnp.array([0.01, 0.02, 0.06])
    restored = unet_restorer(config, params)(np.asarray(images))
    np.testing.assert_allclose(restored, np.clip(images + 0.03, 0, 1), atol=1e-6)


def test_crops_are_places_of_the_image_and_reach_all_of_them():
    image = jnp.arange(5 * 6, dtype=jnp.float32).reshape(5, 6, 1)
    keys = rng.per_example(jax.random.key(0), jnp.arange(200, dtype=jnp.int32))
    crops = np.asarray(jax.jit(jax.vmap(lambda key: random_crop(key, image, 4)))(keys))
    corners = set()
    for crop in crops:
        row, column = divmod(int(crop[0, 0, 0]), 6)
        np.testing.assert_array_equal(crop, image[row : row + 4, column : column + 4])
        corners.add((row, column))
    assert corners == {(row, column) for row in range(2) for column in range(3)}


def test_crops_of_the_task_differ_between_steps():
    config = UNetConfig(width=2, depth=1, residual=True, crop=16)
    task = restorer_task(config, BlurConfig(sigma=0.5))
    images = np.random.default_rng(0).random((2, 64, 64, 1), np.float32)
    batch = on_device(image=images, example_id=np.arange(2, dtype=np.int32))
    params = jax.jit(task.init)(jax.random.key(0))
    losses = jax.jit(task.losses)
    first = np.asarray(losses(params, batch, jax.random.key(1)))
    np.testing.assert_array_equal(first, losses(params, batch, jax.random.key(1)))
    assert (first != losses(params, batch, jax.random.key(2))).all()


def losses_on_crops(blur, images):
    """What a network that changes nothing has, of crops of 16 pixels."""
    task = restorer_task(UNetConfig(width=2, depth=1, residual=True, crop=16), blur)
    batch = on_device(image=images, example_id=np.arange(len(images), dtype=np.int32))
    params = jax.jit(task.init)(jax.random.key(0))
    return np.asarray(jax.jit(task.losses)(params, batch, jax.random.key(1)))


def test_crops_of_blurred_and_original_are_of_one_place():
    image = np.random.default_rng(0).random((1, 64, 64, 1), np.float32)
    images = np.repeat(image, 8, axis=0)
    np.testing.assert_array_equal(losses_on_crops(BlurConfig(sigma=0.0), images), 0)
    # And every example has a place of its own.
    assert len(set(losses_on_crops(BlurConfig(sigma=1.0), images).tolist())) == 8


def test_images_are_blurred_before_they_are_cropped():
    """Darkness beyond the image reaches into it by two pixels, and so into few of the crops."""
    blur = BlurConfig(sigma=0.5, boundary="zero")
    losses = losses_on_crops(blur, np.ones((32, 64, 64, 1), np.float32))
    assert (losses < 1e-12).mean() > 0.5
    assert losses.max() > 1e-4


def test_the_state_is_updated_in_its_place():
    """Beside a donated state, a step holds one array of the parameters' size: the gradient."""
    task, optimizer = classifier_task(HeadConfig(), in_features=4096), optax.adam(1e-3)
    state = jax.eval_shape(lambda key: init_state(task, optimizer, key), jax.random.key(0))
    batch = {
        "features": jax.ShapeDtypeStruct((8, 4096), jnp.float32),
        "label": jax.ShapeDtypeStruct((8,), jnp.int32),
        "example_id": jax.ShapeDtypeStruct((8,), jnp.int32),
    }
    step = jax.jit(make_train_step(task, optimizer), donate_argnums=0)
    memory = step.lower(state, batch, jax.random.key(1)).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 1.5 * 4 * 4096 * 256
