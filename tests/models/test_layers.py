"""Convolution against SciPy, on images smaller than the kernel too; pooling against Flax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.ndimage import correlate

from jxr.models.layers import Conv, max_pool


@pytest.mark.parametrize("taps", [(3, 3), (1, 5)])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (2, 5), (3, 1), (4, 6)])
def test_sums_and_gradients_are_those_of_scipy(size, taps):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, *size, 2)).astype(np.float32)
    conv = Conv(2, 4, taps, rngs=nnx.Rngs(0))
    kernel = np.asarray(conv.kernel[...], float)
    expected = np.zeros((3, *size, 4))
    for image, place in zip(x.astype(float), expected, strict=True):
        for i in range(2):
            for o in range(4):
                place[..., o] += correlate(image[..., i], kernel[..., i, o], mode="constant")
    np.testing.assert_allclose(conv(jnp.asarray(x)), expected, atol=1e-5)
    stack = jax.vmap(lambda one: conv(one[None])[0])(jnp.asarray(x))
    np.testing.assert_allclose(stack, expected, atol=1e-5)
    # The convolution is linear, so its gradient along x is the sum itself.
    weights = rng.normal(size=expected.shape).astype(np.float32)
    gradient = jax.grad(lambda x: (conv(x) * weights).sum())(jnp.asarray(x))
    assert float((gradient * x).sum()) == pytest.approx((expected * weights).sum(), rel=1e-4)


@pytest.mark.parametrize("size", [(2, 2), (6, 8), (5, 7)])
def test_pooling_and_its_gradient_are_those_of_flax(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(3, *size, 2)), jnp.float32)
    expected, pull_expected = jax.vjp(lambda x: nnx.max_pool(x, (2, 2), strides=(2, 2)), x)
    got, pull = jax.vjp(max_pool, x)
    np.testing.assert_array_equal(got, expected)
    weights = jnp.asarray(rng.normal(size=got.shape), jnp.float32)
    np.testing.assert_array_equal(pull(weights)[0], pull_expected(weights)[0])
