"""What is told of a save that fails, kept where nothing is damaged, and replaced on purpose."""

import os
import signal

import jax
import jax.numpy as jnp
import optax
import orbax.checkpoint as ocp
import pytest

from jxr.errors import UserError
from jxr.training.checkpoints import Checkpoints
from jxr.training.loop import save_debug_state
from jxr.training.step import Task, TrainState, init_state
from jxr.training.stopping import Stopped
from tests.training.test_loop import STEPS, assert_same_bits, train

TASK = Task(init=lambda key: {"w": jnp.arange(3.0)}, losses=lambda *_: jnp.zeros(1))


def state_at(step: int, factor: float = 1.0) -> TrainState:
    state = init_state(TASK, optax.adam(1e-2), jax.random.key(0))
    return state._replace(step=jnp.int32(step), params={"w": factor * state.params["w"]})


@pytest.mark.parametrize("error", [MemoryError, PermissionError])
def test_what_is_not_the_files_fault_costs_no_checkpoint(error, tmp_path, monkeypatch):
    """Else a machine with little memory would train anew what it could not read."""
    read = Checkpoints._read
    with Checkpoints(tmp_path) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, state_at(step), {"at": step})

    def fails(self, step, *rest):
        if step == 2:
            raise error
        return read(self, step, *rest)

    with Checkpoints(tmp_path) as checkpoints:
        monkeypatch.setattr(Checkpoints, "_read", fails)
        with pytest.raises(error):
            checkpoints.restore(state_at(0))
        monkeypatch.undo()
        step, state, position = checkpoints.restore(state_at(0))
    assert (step, position) == (2, {"at": 2})
    assert_same_bits(state, state_at(2))


def test_a_save_that_fails_at_the_end_is_told_but_hides_no_earlier_error(
    tmp_path, monkeypatch, caplog
):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ocp.CheckpointManager, "close", full)
    with (
        pytest.raises(UserError, match=r"could not be saved \(No space left on device\)"),
        Checkpoints(tmp_path),
    ):
        pass
    with pytest.raises(KeyError, match="first"), Checkpoints(tmp_path):
        raise KeyError("first")
    assert "could not be saved" in caplog.text


def test_the_state_before_a_bad_step_takes_the_place_of_an_earlier_one(tmp_path):
    """Also of the same step, or of a later one."""
    for step, factor in ((3, 1.0), (3, 2.0), (2, 3.0)):
        folder = save_debug_state(tmp_path, state_at(-1 - step, factor), step)
        with Checkpoints(folder) as checkpoints:
            found = checkpoints.restore(state_at(0))
        assert found[0] == step
        assert_same_bits(found[1], state_at(step, factor))


@pytest.mark.resume
def test_a_signal_during_the_last_save_ends_the_run_once_it_is_on_disk(tmp_path, monkeypatch):
    save = Checkpoints.save

    def and_signal(self, step, *rest):
        save(self, step, *rest)
        if step == STEPS:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Checkpoints, "save", and_signal)
    with pytest.raises(Stopped, match="finished and saved"):
        train("classifier", tmp_path)
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.latest_step() == STEPS
