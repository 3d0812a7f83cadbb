"""The split form of a model is an ordinary tree for jit, vmap, grad, optax and Orbax."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx

from jxr.models import VGG16, Head, UNet, apply, split
from jxr.models.functional import Params


def tiny_head(key: jax.Array) -> tuple[nnx.GraphDef, Params]:
    return split(Head(5, (4,), 2, rngs=nnx.Rngs(key)))


def test_params_are_nested_dictionaries_of_arrays() -> None:
    _, params = tiny_head(jax.random.key(0))
    assert type(params) is dict
    assert sorted(params) == ["hidden0", "logits"]
    assert sorted(params["logits"]) == ["bias", "kernel"]
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(params))


def test_names_of_a_unet() -> None:
    _, params = split(nnx.eval_shape(lambda: UNet(width=2, depth=1, rngs=nnx.Rngs(0))))
    assert sorted(params) == ["down0", "down1", "head", "up0", "upconv0"]
    assert sorted(params["up0"]) == ["conv1", "conv2"]
    assert sorted(params["up0"]["conv1"]) == ["bias", "kernel"]


def test_graphdef_is_static_and_the_same_for_every_key() -> None:
    first, _ = tiny_head(jax.random.key(0))
    second, _ = tiny_head(jax.random.key(1))
    assert jax.tree.leaves(first) == []
    assert first == second
    assert hash(first) == hash(second)


def test_vmap_over_models_equals_one_model_at_a_time() -> None:
    keys = jax.random.split(jax.random.key(0), 3)
    graphdef, _ = tiny_head(keys[0])
    params = jax.vmap(lambda key: tiny_head(key)[1])(keys)
    x = jax.random.normal(jax.random.key(1), (6, 5))
    together = jax.jit(jax.vmap(lambda p: apply(graphdef, p, x)))(params)
    for i, key in enumerate(keys):
        alone = apply(graphdef, tiny_head(key)[1], x)
        np.testing.assert_allclose(together[i], alone, rtol=1e-5, atol=1e-6)


def test_gradient_step_by_optax_is_gradient_descent() -> None:
    graphdef, params = tiny_head(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (6, 5))
    gradient = jax.grad(lambda p: apply(graphdef, p, x).sum())(params)
    # The sum of the logits over 6 examples has the derivative 6 by each bias of the last layer.
    np.testing.assert_allclose(gradient["logits"]["bias"], [6.0, 6.0])
    optimiser = optax.sgd(0.5)
    updates, _ = optimiser.update(gradient, optimiser.init(params), params)
    stepped = optax.apply_updates(params, updates)
    np.testing.assert_allclose(stepped["logits"]["bias"], [-3.0, -3.0])


def test_round_trip_through_orbax(tmp_path: Path) -> None:
    graphdef, params = tiny_head(jax.random.key(0))
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "params", params)
        checkpointer.wait_until_finished()
        back = checkpointer.restore(tmp_path / "params", jax.tree.map(jnp.zeros_like, params))
    jax.tree.map(np.testing.assert_array_equal, back, params)
    x = jnp.ones((1, 5))
    np.testing.assert_array_equal(apply(graphdef, back, x), apply(graphdef, params, x))


# Worked out by hand: kernels (taps x in x out) plus one bias an output channel.
@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda rngs: VGG16(rngs=rngs), 14_714_688),  # published
        (lambda rngs: Head(rngs=rngs), 25_088 * 256 + 256 + 256 * 2 + 2),
        (
            lambda rngs: Head(25_088, (4096, 4096), 2, rngs=rngs),
            25_088 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 2 + 2,
        ),
        (lambda rngs: Head(10, (), 3, rngs=rngs), 33),
        (lambda rngs: UNet(rngs=rngs), 31_030_593),  # see the docstring of UNet
        (lambda rngs: UNet(residual=True, rngs=rngs), 31_030_593),
        # First convolution 9 * 3 * 64 in place of 9 * 64, head 64 * 3 + 3 in place of 65.
        (lambda rngs: UNet(channels=3, rngs=rngs), 31_030_593 + 9 * 2 * 64 + 130),
        # Down: 9*2+2 + 9*2*2+2; 9*2*4+4 + 9*4*4+4. Up-convolution 4*4*2+2.
        # Up: 9*4*2+2 + 9*2*2+2. Head 2+1.
        (
            lambda rngs: UNet(width=2, depth=1, rngs=rngs),
            (20 + 38) + (76 + 148) + 34 + (74 + 38) + 3,
        ),
        # No level: 9*2+2 + 9*2*2+2 and the head.
        (lambda rngs: UNet(width=2, depth=0, rngs=rngs), 20 + 38 + 3),
    ],
)
def test_parameter_count(make, count: int) -> None:
    _, params = split(nnx.eval_shape(lambda: make(nnx.Rngs(0))))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count
