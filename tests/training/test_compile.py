"""A step compiled as trainings compile it: with XLA's options for a CPU, and what it computes."""

import jax
import numpy as np
import optax
import pytest
from flax import nnx

from jxr.models import UNet, abstract, apply, split
from jxr.training.observe import CPU_OPTIONS, compile_step
from jxr.training.step import Task, init_state, make_train_step

BATCH, SIZE = 3, 32


def build(key):
    return UNet(width=4, depth=2, rngs=nnx.Rngs(params=key))


@pytest.fixture
def training():
    """A U-Net's step, its state, and a batch."""
    graph, _ = abstract(build)
    images = np.random.default_rng(0).random((2, BATCH, SIZE, SIZE, 1), np.float32)

    def losses(params, batch, _):
        return ((apply(graph, params, batch["blurred"]) - batch["image"]) ** 2).mean((1, 2, 3))

    task, optimizer = Task(lambda key: split(build(key))[1], losses), optax.sgd(0.1)
    state = init_state(task, optimizer, jax.random.key(0))
    batch = {"image": images[0], "blurred": images[1], "example_id": np.arange(BATCH)}
    return make_train_step(task, optimizer), state, batch


def test_the_options_change_rounding_and_nothing_else(training):
    step, *arguments = training
    key = jax.random.key(1)
    plain, plain_metrics = jax.jit(step)(*arguments, key)
    found, metrics = compile_step(jax.jit(step), *arguments, key).call(*arguments, key)
    np.testing.assert_allclose(metrics, plain_metrics, rtol=1e-5)
    for ours, theirs in zip(*map(jax.tree.leaves, (found, plain)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


class Lowered:
    """In the place of a jitted step: keeps the options that it is compiled with."""

    def lower(self, *_):
        return self

    def compile(self, compiler_options):
        self.options = compiler_options


@pytest.mark.parametrize(("platform", "options"), [("cpu", CPU_OPTIONS), ("gpu", {}), ("tpu", {})])
def test_other_platforms_compile_as_they_are_used_to(monkeypatch, platform, options):
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    monkeypatch.setattr("jxr.training.observe.count_flop", lambda step, *arguments: 0)
    step = Lowered()
    compile_step(step)
    assert step.options == options
