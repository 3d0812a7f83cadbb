"""bfloat16: the networks compute in it, and nothing else does."""

import collections
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jxr.config import (
    BlurConfig,
    DegradationRange,
    FineTuningConfig,
    HeadConfig,
    ScheduleConfig,
    UNetConfig,
    WienerNetConfig,
)
from jxr.models import abstract, apply, apply_in, named_leaves
from jxr.models.vgg16_weights import random_weights
from jxr.restoration.wiener_bank import KNOTS
from jxr.training.fine_tuning import fine_tuning_task
from jxr.training.step import init_state, make_train_step
from jxr.training.tasks import build_unet, classifier_task, restorer_task
from jxr.training.wiener_net_task import wiener_net_task

KEY = jax.random.key(1)
RNG = np.random.default_rng(0)
IDS = {"example_id": jnp.arange(4, dtype=jnp.int32)}
IMAGES = IDS | {"image": jnp.asarray(RNG.random((4, 32, 32, 1)), jnp.float32)}
FEATURES = IDS | {
    "features": jnp.asarray(RNG.normal(size=(4, 10)), jnp.float32),
    "label": jnp.array([0, 1, 1, 0], jnp.int32),
}
MAPS = IDS | {
    "features": jnp.asarray(RNG.random((4, 2 * 2 * 512)), jnp.float16),
    "labels": jnp.ones((4, 2), jnp.float32),
    "weights": jnp.ones((4, 2), jnp.float32),
}


def unet(schedule, residual=True):
    config = UNetConfig(width=4, depth=1, residual=residual, schedule=schedule)
    return restorer_task(config, BlurConfig(sigma=1.0, noise=0.05)), IMAGES


def wiener_net(schedule):
    config = WienerNetConfig(width=4, blocks=2, crop=0, schedule=schedule)
    power = jnp.asarray(-2.5 * np.log(KNOTS) - 8, jnp.float32)
    return wiener_net_task(config, DegradationRange(), power), IMAGES


def head(schedule):
    return classifier_task(HeadConfig(hidden=(6,), schedule=schedule), 10), FEATURES


def tuned(schedule):
    shapes = jax.eval_shape(random_weights, KEY)
    pretrained = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    config = FineTuningConfig(size=32, schedule=schedule)
    return fine_tuning_task(config, 2, pretrained, "caffe", 2), MAPS


def in_both(make):
    """The task in float32 and in bfloat16, and a batch of it."""
    (plain, batch), (rounded, _) = (
        make(ScheduleConfig(precision=precision)) for precision in ("float32", "bfloat16")
    )
    return plain, rounded, batch


def gradients(task, batch):
    """A function of parameters: ((mean loss, losses), gradients)."""

    def mean(params):
        losses = task.losses(params, batch, KEY)
        return losses.mean(), losses

    return jax.value_and_grad(mean, has_aux=True)


@functools.cache
def compiled(make):
    """Parameters to start from, and `gradients` in both, jitted: one program for several tests."""
    plain, rounded, batch = in_both(make)
    return jax.jit(plain.init)(KEY), *(jax.jit(gradients(task, batch)) for task in (plain, rounded))


def equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            for inner in value if isinstance(value, list | tuple) else [value]:
                if hasattr(inner, "eqns") or hasattr(inner, "jaxpr"):
                    yield from equations(getattr(inner, "jaxpr", inner))


def products(program):
    """How many convolutions and matrix products there are: (at full precision?, dtypes) -> n."""
    highest = jax.lax.Precision.HIGHEST
    return collections.Counter(
        (
            equation.params["precision"] in (highest, (highest, highest)),
            *sorted({str(operand.aval.dtype) for operand in equation.invars}),
        )
        for equation in equations(program)
        if equation.primitive.name in ("conv_general_dilated", "dot_general")
    )


@pytest.mark.parametrize(
    ("make", "has_optics"),  # in products: the U-Net's images are blurred by shifts and sums
    [(unet, False), (wiener_net, True), (head, False), (tuned, False)],
)
def test_networks_multiply_in_bfloat16_while_optics_and_sums_stay_float32(make, has_optics):
    plain, rounded, batch = in_both(make)
    params = jax.eval_shape(plain.init, KEY)
    before, after = (
        jax.make_jaxpr(gradients(task, batch))(params).jaxpr for task in (plain, rounded)
    )
    # Optics and restoration ask for full precision, networks for the platform's.
    assert set(products(before)) <= {(True, "float32"), (False, "float32")}
    assert (products(before)[True, "float32"] > 0) == has_optics
    assert products(after) == {
        key: count
        for key, count in {
            (True, "float32"): products(before)[True, "float32"],
            (False, "bfloat16"): products(before)[False, "float32"],
        }.items()
        if count
    }
    for equation in equations(after):
        name, dtypes = equation.primitive.name, {str(out.aval.dtype) for out in equation.outvars}
        if "sum" in name or name in ("fft", "log", "exp", "logistic"):
            assert "bfloat16" not in dtypes, equation
    assert {str(out.aval.dtype) for out in after.outvars} == {"float32"}
    assert "bf16" not in str(before)


@pytest.mark.parametrize("make", [unet, wiener_net, head])
def test_gradients_are_those_of_float32_to_bfloat16_s_rounding(make):
    """Of biases as well, which are sums over all pixels: in bfloat16 they were half wrong."""
    params, plain, rounded = compiled(make)
    rng = np.random.default_rng(1)  # the last layers start at zero: others get no gradient
    params = jax.tree.map(
        lambda leaf: np.float32(leaf + 0.1 * rng.normal(size=leaf.shape)), jax.device_get(params)
    )
    ((loss, _), expected), ((near, _), found) = plain(params), rounded(params)
    assert near.dtype == jnp.float32
    assert near != loss
    np.testing.assert_allclose(near, loss, rtol=0.01)
    for name, wanted in named_leaves(jax.device_get(expected)).items():
        leaf = np.asarray(named_leaves(found)[name])
        assert leaf.dtype == jnp.float32
        if name != "log_power":  # is not learnt
            assert np.linalg.norm(leaf - wanted) < 0.1 * np.linalg.norm(wanted), name


def test_training_in_bfloat16_keeps_float32_and_learns_as_much():
    plain, rounded, batch = in_both(lambda schedule: unet(schedule, residual=False))
    batch = batch | {"image": batch["image"][:, :16, :16]}
    optimizer = optax.adam(1e-2)
    losses = []
    for task in (plain, rounded):
        state = jax.jit(init_state, static_argnums=(0, 1))(task, optimizer, jax.random.key(0))
        step = jax.jit(make_train_step(task, optimizer, accumulate=2))
        history = []
        for _ in range(20):
            state, metrics = step(state, batch, KEY)
            history.append(float(metrics.loss))
        leaves = jax.tree.leaves((state.params, state.opt_state, metrics))
        assert {str(leaf.dtype) for leaf in leaves} == {"float32", "int32"}
        losses.append(history)
    expected, found = np.array(losses)
    assert expected[-1] < 0.5 * expected[0]
    np.testing.assert_allclose(found, expected, rtol=0.05)


def test_in_float32_nothing_is_added_to_a_program():
    graphdef, params = abstract(build_unet(UNetConfig(width=4, depth=2, residual=True)))
    programs = [
        str(jax.make_jaxpr(function)(params, IMAGES["image"]))
        for function in (
            lambda p, x: apply(graphdef, p, x),
            lambda p, x: apply_in("float32", graphdef, p, x),
        )
    ]
    assert programs[0] == programs[1]
    assert "convert_element_type" not in programs[0]


@pytest.mark.parametrize("make", [unet, wiener_net])
def test_all_but_the_network_is_as_precise_as_before(make):
    """Both networks start by adding nothing, so only what is around them is in the loss."""
    params, plain, rounded = compiled(make)
    ((_, expected), _), ((_, found), _) = plain(params), rounded(params)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
