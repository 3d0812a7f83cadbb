"""Grad-CAM by hand, by finite differences, and beside PyTorch's derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jxr.models import Head, apply, split
from jxr.models.gradcam import features_of, grad_cam, last_maps
from jxr.models.vgg16 import LAYERS, extract, graphdef


@pytest.fixture(scope="module")
def network():
    """VGG-16 with random weights, two images, their last maps and features, and a head."""
    rng = np.random.default_rng(0)
    shapes = {name: (3, 3, n_in, n_out) for name, n_in, n_out in LAYERS}
    params = {
        name: {
            "kernel": rng.normal(0, (2 / np.prod(shape[:3])) ** 0.5, shape).astype(np.float32),
            "bias": rng.normal(0, 0.1, shape[3]).astype(np.float32),
        }
        for name, shape in shapes.items()
    }
    images = rng.random((2, 64, 32, 1)).astype(np.float32)

    @jax.jit
    def outputs(params, images):
        given = graphdef(), params, images, "caffe"
        return last_maps(*given), extract(*given)

    head = split(Head(2 * 1 * 512, (8,), rngs=nnx.Rngs(3)))
    return params, images, *outputs(params, images), head


def log_odds(head, maps):
    logits = apply(*head, features_of(maps))
    return logits[:, 1] - logits[:, 0]


def test_by_hand():
    maps = np.zeros((1, 2, 2, 2), np.float32)
    maps[0, :, :, 0] = [[1, 2], [0, 0]]
    maps[0, :, :, 1] = [[0, 1], [3, 0]]

    def score(x):  # derivatives: 8 in one of four places of channel 0; -1 everywhere in channel 1
        return 8 * x[:, 0, 0, 0] - x[..., 1].sum(axis=(1, 2))

    scores, cam = jax.jit(lambda x: grad_cam(score, x))(maps)
    np.testing.assert_allclose(scores, [8 - 4])
    np.testing.assert_allclose(cam, [[[2, 3], [0, 0]]])  # 2 * channel 0 - channel 1, and 0 for -3


def test_each_image_has_weights_of_its_own():
    """The derivative of half a squared sum is the sum, in all places."""
    maps = np.array([[[[1.0], [3.0]]], [[[2.0], [0.0]]]], np.float32)
    _, cam = jax.jit(lambda x: grad_cam(lambda y: y.sum(axis=(1, 2, 3)) ** 2 / 2, x))(maps)
    np.testing.assert_allclose(cam, [[[4, 12]], [[4, 0]]])


def test_pooled_maps_go_row_by_row_then_column_then_channel():
    maps = np.random.default_rng(0).random((2, 4, 6, 3), np.float32)
    pooled = [maps[:, y : y + 2, x : x + 2].max((1, 2)) for y in (0, 2) for x in (0, 2, 4)]
    found = features_of(jnp.asarray(maps))
    np.testing.assert_array_equal(found, np.concatenate(pooled, axis=1))


def test_weights_are_finite_differences_and_images_do_not_mix(network):
    *_, maps, _, head = network
    scores, cam = jax.jit(lambda x: grad_cam(lambda y: log_odds(head, y), x))(maps)
    np.testing.assert_allclose(scores, log_odds(head, maps), rtol=1e-5)
    # The sum of a channel's derivatives is what adding to all of the channel does to the score.
    step = 1e-2 * float(maps.std())
    nudges = step * jnp.eye(512)[:, None, None, :]
    moved = jax.jit(lambda one, nudges: log_odds(head, one + nudges))
    for image in range(2):
        one = maps[image : image + 1]
        higher, lower = (moved(one, sign * nudges) for sign in (1, -1))
        slopes = (higher - lower) / (2 * step)
        expected = np.maximum(np.asarray(one[0]) @ np.asarray(slopes) / (4 * 2), 0)
        np.testing.assert_allclose(cam[image], expected, atol=2e-3 * expected.max())


def test_pooled_maps_are_the_features(network):
    *_, maps, features, _ = network
    assert maps.shape == (2, 4, 2, 512)
    assert maps.min() == 0  # after the ReLU
    np.testing.assert_allclose(features_of(maps), features, atol=3e-6 * features.max())


@pytest.mark.torch
def test_beside_pytorch(network):
    torch = pytest.importorskip("torch")
    from torch.nn import functional

    params, images, found_maps, _, head = network
    means = torch.tensor([103.939, 116.779, 123.68], dtype=torch.float64)
    x = (torch.from_numpy(images).double() * 255 - means).permute(0, 3, 1, 2)
    for name, _, _ in LAYERS:
        kernel, bias = (
            torch.from_numpy(params[name][part]).double() for part in ("kernel", "bias")
        )
        if name.endswith("_conv1") and name != "block1_conv1":
            x = functional.max_pool2d(x, 2)
        x = functional.relu(functional.conv2d(x, kernel.permute(3, 2, 0, 1), bias, padding=1))
    maps = x.detach().requires_grad_()
    x = functional.max_pool2d(maps, 2).permute(0, 2, 3, 1).flatten(1)
    for name in ("hidden0", "logits"):
        kernel, bias = (
            torch.from_numpy(np.array(head[1][name][part])).double() for part in ("kernel", "bias")
        )
        x = (functional.relu(x) if name == "logits" else x) @ kernel + bias
    scores = x[:, 1] - x[:, 0]
    scores.sum().backward()
    weights = maps.grad.mean(dim=(2, 3), keepdim=True)
    expected = functional.relu((weights * maps).sum(dim=1)).detach().numpy()

    found, cam = jax.jit(lambda x: grad_cam(lambda y: log_odds(head, y), x))(found_maps)
    np.testing.assert_allclose(found, scores.detach(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(cam, expected, atol=1e-4 * expected.max())
