"""Memory that runs out, and traces of a running step."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import logging

from jxr.config import ScheduleConfig
from jxr.data import batches
from jxr.errors import UserError
from jxr.training.loop import fit
from jxr.training.observe import Trace, memory_explained
from jxr.training.step import Task
from tests.training.test_metrics import train

HUGE = 1 << 24, 1 << 24  # bytes: 2^48 together, more than any machine has


def runs_out(text):
    """What the device says when a step is made; on CPUs it is "internal" once it is dispatched."""

    def losses(params, batch, key):
        raise jax.errors.JaxRuntimeError(text + "\nwhich buffers: ...")

    return Task(init=lambda key: {"w": jnp.ones(())}, losses=losses)


TASKS = {
    "really": Task(
        init=lambda key: {"w": jnp.zeros(HUGE, jnp.int8)},
        losses=lambda params, batch, key: batch["x"][:, 0],
    ),
    "in the step": runs_out("RESOURCE_EXHAUSTED: Out of memory allocating 281474976710656 bytes."),
    "as it runs": runs_out("INTERNAL: Error: Out of memory allocating 281474976710656 bytes."),
}


@pytest.mark.parametrize("how", TASKS)
def test_out_of_memory_says_what_to_change(how, tmp_path):
    arrays = {"x": np.ones((8, 3), np.float32)}
    with pytest.raises(
        UserError, match=r"^huge: out of .*schedule\.accumulate.*unet\.remat.*batch_size"
    ) as error:
        fit(
            TASKS[how],
            batches(arrays, batch_size=4, seed=0),
            schedule=ScheduleConfig(batch_size=4),
            steps=2,
            seed=0,
            directory=tmp_path,
            title="huge",
        )
    assert re.search(r"emory allocating \d{15} bytes", str(error.value))
    assert "\n" not in str(error.value)


def test_other_errors_of_the_device_stay_what_they_are():
    error = jax.errors.JaxRuntimeError("INTERNAL: something else")
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"), memory_explained("x"):
        raise error


def test_a_trace_of_some_steps_is_written(tmp_path):
    train(tmp_path, profile=True)
    (trace,) = (tmp_path / "profile").rglob("*.xplane.pb")
    assert b"train_step" in trace.read_bytes()


def test_five_steps_are_traced_after_the_first_two(tmp_path, monkeypatch):
    """The first two are slower than others, and traces of many steps are large."""
    called = []
    monkeypatch.setattr(jax.profiler, "start_trace", lambda _: called.append("start"))
    monkeypatch.setattr(jax.profiler, "stop_trace", lambda: called.append("stop"))
    with Trace(tmp_path, start=10) as trace:
        for step in range(10, 30):
            trace.at(step, jnp.zeros(()))
            called.append(step)
    assert called == [10, 11, "start", *range(12, 17), "stop", *range(17, 30)]


def test_a_run_too_short_for_a_trace_says_so(tmp_path, monkeypatch):
    warnings = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: warnings.append(text % values))
    train(tmp_path, steps=2, profile=True)
    assert warnings == ["no trace: the run ended before step 2"]
