"""The dense head against NumPy, and dropout that follows the example."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jxr.models import Head, apply, split
from jxr.models.heads import dropout
from jxr.rng import per_example


def test_logits_against_numpy() -> None:
    graphdef, params = split(Head(6, (5, 4), 3, rngs=nnx.Rngs(0)))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape), a.dtype), params)
    x = rng.normal(size=(7, 6)).astype(np.float32)
    expected = x
    for layer in ("hidden0", "hidden1"):
        expected = np.maximum(expected @ params[layer]["kernel"] + params[layer]["bias"], 0)
    expected = expected @ params["logits"]["kernel"] + params["logits"]["bias"]
    got = jax.jit(lambda p, x: apply(graphdef, p, x))(params, jnp.asarray(x))
    assert got.shape == (7, 3)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_shapes_of_the_default_head() -> None:
    _, params = split(nnx.eval_shape(lambda: Head(rngs=nnx.Rngs(0))))
    assert jax.tree.map(lambda a: a.shape, params) == {
        "hidden0": {"kernel": (25088, 256), "bias": (256,)},
        "logits": {"kernel": (256, 2), "bias": (2,)},
    }


def test_glorot_uniform_kernels() -> None:
    _, params = split(Head(300, (200,), rngs=nnx.Rngs(1)))
    limit = np.sqrt(6 / 500)
    kernel = np.asarray(params["hidden0"]["kernel"])
    assert 0.99 * limit < np.abs(kernel).max() <= limit
    np.testing.assert_allclose(kernel.std(), limit / np.sqrt(3), rtol=0.02)
    assert not np.asarray(params["hidden0"]["bias"]).any()


def test_dropout_rate_and_scale() -> None:
    keys = jax.random.split(jax.random.key(0), 100)
    out = np.asarray(dropout(jnp.full((100, 1000), 3.0), keys, 0.2))
    kept = out != 0
    # 100,000 draws: the standard deviation of the fraction kept is 0.0013.
    assert abs(kept.mean() - 0.8) < 0.006
    np.testing.assert_allclose(out[kept], 3 / 0.8, rtol=1e-6)
    # No two examples share a mask.
    assert len(np.unique(kept, axis=0)) == 100


def test_no_dropout_at_rate_zero() -> None:
    x = jnp.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(dropout(x, jax.random.split(jax.random.key(0), 3), 0.0), x)


def test_dropout_follows_the_example_through_any_batch() -> None:
    graphdef, params = split(Head(20, (64, 32), 2, rngs=nnx.Rngs(0)))
    x = jax.random.normal(jax.random.key(1), (8, 20))
    ids = jnp.arange(100, 108)
    key = jax.random.key(2)

    @jax.jit
    def logits(x, ids):
        return apply(graphdef, params, x, dropout_keys=per_example(key, ids))

    whole = np.asarray(logits(x, ids))
    order = np.array([5, 2, 7, 0, 1, 3, 6, 4])
    np.testing.assert_allclose(logits(x[order], ids[order]), whole[order], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(logits(x[3:5], ids[3:5]), whole[3:5], rtol=1e-5, atol=1e-6)
    # The same example under another id has another mask.
    assert np.abs(logits(x, ids + 1) - whole).max() > 1e-3


def test_every_hidden_layer_has_its_own_mask() -> None:
    n = 400
    graphdef, params = split(Head(n, (n, n), n, rngs=nnx.Rngs(0)))
    eye = {"kernel": jnp.eye(n), "bias": jnp.zeros(n)}
    params = dict.fromkeys(params, eye)
    keys = jax.random.split(jax.random.key(0), 50)
    out = np.asarray(apply(graphdef, params, jnp.ones((50, n)), dropout_keys=keys))
    # Two independent masks of one half leave a quarter, one mask used twice would leave a half.
    assert abs((out != 0).mean() - 0.25) < 0.02
    np.testing.assert_allclose(out[out != 0], 4.0)


def test_without_keys_nothing_is_dropped() -> None:
    graphdef, params = split(Head(4, (4,), 4, rngs=nnx.Rngs(0)))
    eye = {"kernel": jnp.eye(4), "bias": jnp.zeros(4)}
    params = dict.fromkeys(params, eye)
    x = jnp.asarray([[1.0, 2.0, 3.0, 4.0]])
    np.testing.assert_array_equal(apply(graphdef, params, x), x)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_impossible_rate(rate: float) -> None:
    with pytest.raises(ValueError, match="dropout must be in"):
        Head(4, dropout=rate, rngs=nnx.Rngs(0))
