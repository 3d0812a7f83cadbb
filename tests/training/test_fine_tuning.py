"""Fine-tuning starts at VGG-16, and its loss is what it says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jxr import rng
from jxr.config import AugmentationConfig, FineTuningConfig
from jxr.data.augmentation import random_view
from jxr.errors import UserError
from jxr.models import abstract, apply
from jxr.models.vgg16 import blocks, extract, graphdef
from jxr.models.vgg16_weights import random_weights
from jxr.training.fine_tuning import build_tuned, fine_tuning_task

SIZE = 64


@pytest.fixture(scope="module")
def pretrained():
    return random_weights(jax.random.key(0))


@pytest.fixture(scope="module")
def images():
    return jnp.asarray(np.random.default_rng(0).random((2, SIZE, SIZE, 1)), jnp.float32)


def frozen(pretrained, images, last):
    return extract(graphdef(1, last), blocks(pretrained, 1, last), images, "caffe")


def averages(pretrained, images, convention="caffe"):
    """VGG-16's features, averaged over the image."""
    whole = extract(graphdef(), pretrained, images, convention)
    return np.asarray(whole).reshape(2, 2, 2, 512).mean(axis=(1, 2))


@pytest.fixture(scope="module")
def features(pretrained, images):
    return averages(pretrained, images)


@pytest.fixture(scope="module")
def before_block5(pretrained, images):
    return frozen(pretrained, images, 4)


@pytest.fixture(scope="module")
def two_questions(pretrained):
    """The task as it is by default, with two questions, its losses jitted; and parameters."""
    task = fine_tuning_task(FineTuningConfig(size=SIZE), 2, pretrained, "caffe", SIZE // 16)
    return task._replace(losses=jax.jit(task.losses)), task.init(jax.random.key(1))


def odds_of(config, convention, params, features):
    """What the network says, without dropout."""
    model, _ = abstract(build_tuned(config, 2, convention))
    return np.asarray(jax.jit(lambda p, x: apply(model, p, x))(params, features), float)


def batch_of(features, labels, weights):
    return {
        "features": features.astype(jnp.float16),
        "labels": jnp.asarray(labels, jnp.float32),
        "weights": jnp.asarray(weights, jnp.float32),
        "example_id": jnp.arange(len(features), dtype=jnp.int32),
    }


@pytest.mark.parametrize("first_block", [4, 5])
def test_it_starts_as_the_mean_of_vgg16_s_features(pretrained, images, features, first_block):
    config = FineTuningConfig(size=SIZE, first_block=first_block)
    side = SIZE // 2 ** (first_block - 1)
    params = fine_tuning_task(config, 2, pretrained, "caffe", side).init(jax.random.key(1))
    maps = frozen(pretrained, images, first_block - 1).reshape(2, side, side, -1)
    found = odds_of(config, "caffe", params, maps)
    kernel, bias = params["log_odds"]["kernel"], params["log_odds"]["bias"]
    expected = features @ np.asarray(kernel) + np.asarray(bias)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_the_loss_against_its_formula(pretrained, before_block5):
    config = FineTuningConfig(size=SIZE, dropout=0.0, label_smoothing=0.2)
    side = SIZE // 16
    task = fine_tuning_task(config, 2, pretrained, "caffe", side)
    params = task.init(jax.random.key(1))
    labels = np.array([[0, 0], [1, 0]])
    weights = np.array([[2.0, 0.0], [0.5, 1.5]])
    maps = before_block5.astype(jnp.float16).reshape(2, side, side, -1)
    odds = odds_of(config, "caffe", params, maps)
    targets = labels * 0.8 + 0.1
    crossed = targets * np.logaddexp(0, -odds) + (1 - targets) * np.logaddexp(0, odds)
    batch = batch_of(before_block5, labels, weights)
    found = jax.jit(task.losses)(params, batch, jax.random.key(2))
    np.testing.assert_allclose(found, (weights * crossed).sum(axis=1), rtol=1e-4)


def test_what_does_not_apply_is_not_learnt_and_frozen_blocks_are_not_there(
    two_questions, before_block5
):
    task, params = two_questions
    assert set(params["blocks"]) == {"block5_conv1", "block5_conv2", "block5_conv3"}
    batch = batch_of(before_block5, np.zeros((2, 2)), [[1, 0]] * 2)
    mean = lambda p: task.losses(p, batch, jax.random.key(2)).mean()  # noqa: E731
    gradients = jax.jit(jax.grad(mean))(params)
    kernel = np.asarray(gradients["log_odds"]["kernel"])
    assert kernel[:, 0].any()
    assert not kernel[:, 1].any()
    assert np.asarray(gradients["blocks"]["block5_conv1"]["kernel"]).any()


def test_dropout_follows_the_example(two_questions, before_block5):
    task, params = two_questions
    batch = batch_of(before_block5, [[0, 1], [1, 0]], np.ones((2, 2)))
    losses = np.asarray(task.losses(params, batch, jax.random.key(2)))
    swapped = {name: values[::-1] for name, values in batch.items()}
    np.testing.assert_allclose(
        task.losses(params, swapped, jax.random.key(2)), losses[::-1], rtol=1e-3
    )
    assert (losses != task.losses(params, batch, jax.random.key(3))).all()


@pytest.mark.parametrize("convention", ["caffe", "torchvision"])
def test_where_all_blocks_learn_it_starts_as_vgg16_on_images(pretrained, images, convention):
    config = FineTuningConfig(size=SIZE, first_block=1, views=0)
    params = fine_tuning_task(config, 2, pretrained, convention, SIZE).init(jax.random.key(1))
    assert set(params["blocks"]) == set(pretrained)
    found = odds_of(config, convention, params, images)
    whole = averages(pretrained, images, convention)
    expected = whole @ np.asarray(params["log_odds"]["kernel"])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_where_all_blocks_learn_each_step_sees_another_view(pretrained, images):
    augmentation = AugmentationConfig(blurred=1.0, rotation=30.0)
    config = FineTuningConfig(
        size=SIZE, first_block=1, views=0, dropout=0.0, augmentation=augmentation
    )
    task = fine_tuning_task(config, 1, pretrained, "caffe", SIZE)
    params = task.init(jax.random.key(1))
    batch = batch_of(images.reshape(2, -1), [[0], [1]], [[1.0]] * 2)
    losses, key = jax.jit(task.losses), jax.random.key(2)
    found = losses(params, batch, key)
    keys = rng.per_example(rng.stream(key, "view"), batch["example_id"])
    halved = images.astype(jnp.float16).astype(jnp.float32)
    view = jax.jit(lambda image, key: random_view(image, key, augmentation))
    views = jnp.stack([view(*pair) for pair in zip(halved, keys, strict=True)])
    kernel = np.asarray(params["log_odds"]["kernel"], float)
    odds = (averages(pretrained, views) @ kernel)[:, 0]
    targets = np.array([0.05, 0.95])
    crossed = targets * np.logaddexp(0, -odds) + (1 - targets) * np.logaddexp(0, odds)
    np.testing.assert_allclose(found, crossed, rtol=1e-3)
    assert (found != losses(params, batch, jax.random.key(3))).all()


def test_views_are_not_kept_where_all_blocks_learn():
    with pytest.raises(UserError, match=r"tuned\.views is 1, .*: give 0"):
        FineTuningConfig(first_block=1)
