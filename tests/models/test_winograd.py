"""Winograd's convolution against SciPy's in float64, and where VGG-16 uses it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.ndimage import correlate

from jxr.models import apply, split, vgg16
from jxr.models.layers import Conv
from jxr.models.vgg16_weights import random_weights
from jxr.models.winograd import winograd_kernel


def convolved(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    sums = np.zeros((*x.shape[:3], kernel.shape[3]))
    for image, place in zip(x.astype(float), sums, strict=True):
        for i, o in np.ndindex(kernel.shape[2:]):
            place[..., o] += correlate(
                image[..., i], kernel[..., i, o].astype(float), mode="constant"
            )
    return sums


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (2, 5), (3, 1), (4, 6), (7, 7)])
def test_a_layer_with_a_kernel_in_this_form_is_scipys_convolution(size, use_bias) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, *size, 2)).astype("f4")
    kernel, bias = rng.normal(size=(3, 3, 2, 5)).astype("f4"), rng.normal(size=5).astype("f4")
    graphdef, params = split(Conv(2, 5, (3, 3), use_bias=use_bias, rngs=nnx.Rngs(0)))
    params["kernel"] = winograd_kernel(jnp.asarray(kernel))
    if use_bias:
        params["bias"] = jnp.asarray(bias)
    got = apply(graphdef, params, jnp.asarray(x))
    np.testing.assert_allclose(got, convolved(x, kernel) + bias * use_bias, atol=1e-5)


def test_rounding_is_of_the_size_of_a_plain_convolutions() -> None:
    rng = np.random.default_rng(1)
    x = np.maximum(rng.normal(size=(1, 8, 8, 256)), 0).astype("f4")
    conv = Conv(256, 2, (3, 3), rngs=nnx.Rngs(0))
    graphdef, params = split(conv)
    expected = convolved(x, np.asarray(params["kernel"]))
    form = params | {"kernel": winograd_kernel(params["kernel"])}
    plain, ours = (
        np.linalg.norm(apply(graphdef, one, jnp.asarray(x)) - expected) / np.linalg.norm(expected)
        for one in (params, form)
    )
    assert ours < 1e-6
    assert ours < 4 * plain


@pytest.mark.parametrize("last", [4, 5])
def test_features_and_their_gradients_are_those_of_the_plain_layers(last: int) -> None:
    graphdef = vgg16.graphdef(1, last)
    params = vgg16.blocks(random_weights(jax.random.key(0)), 1, last)
    images = jax.random.uniform(jax.random.key(1), (3, 44, 70, 1))

    def plain(params, images):
        return apply(graphdef, params, vgg16.preprocess(images, "caffe")).reshape(3, -1)

    def ours(params, images):
        return vgg16.extract(graphdef, params, images, "caffe")

    expected = jax.jit(plain)(params, images)
    difference = np.linalg.norm(jax.jit(ours)(params, images) - expected)
    assert 0 < difference < 3e-6 * np.linalg.norm(expected)
    for given in (0, 1):
        gradients = [
            jax.jit(jax.grad(lambda *x, f=f: (f(*x) ** 2).sum(), given))(params, images)
            for f in (ours, plain)
        ]
        for got, wanted in zip(*map(jax.tree.leaves, gradients), strict=True):
            assert np.linalg.norm(got - wanted) < 1e-5 * np.linalg.norm(wanted)


@pytest.mark.parametrize(("platform", "convolutions"), [("cpu", 2), ("cuda", 13), ("tpu", 13)])
def test_accelerators_keep_the_plain_layers(platform: str, convolutions: int) -> None:
    params = jax.eval_shape(random_weights, jax.random.key(0))
    images = jax.ShapeDtypeStruct((2, 32, 32, 1), jnp.float32)
    features = jax.jit(lambda *x: vgg16.extract(vgg16.graphdef(), *x, "caffe"))
    text = jax.export.export(features, platforms=[platform])(params, images).mlir_module()
    assert text.count("stablehlo.convolution(") == convolutions
