"""What a run tells of its steps: metrics.jsonl, event files, and the step that went wrong."""

import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jxr.config import ScheduleConfig
from jxr.data import batches
from jxr.errors import UserError
from jxr.training.checkpoints import Checkpoints
from jxr.training.launch import Launch
from jxr.training.loop import fit
from jxr.training.metrics import MetricsLog
from jxr.training.step import StepMetrics, Task, init_state
from tests.training.test_loop import assert_same_bits

BATCH, RATE, BAD_STEP = 4, 1e-2, 5
X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)


def losses(params, batch, key):
    # The second term is finite wherever `flag` is; the slope of the root at 0 is not.
    root = jnp.sqrt(batch["flag"] * params["positive"])
    return jnp.square(batch["x"] @ params["w"] - 1) + 0 * root


TASK = Task(init=lambda key: {"w": jnp.ones(3), "positive": jnp.ones(())}, losses=losses)


def train(directory, *, steps=9, flag=None, slow=0.0, log_every=2, **launch):
    schedule = ScheduleConfig(
        epochs=1, batch_size=BATCH, learning_rate=RATE, log_every=log_every, checkpoint_every=4
    )
    arrays = {"x": X, "flag": np.ones(40, np.float32) if flag is None else flag}
    iterator = batches(arrays, batch_size=BATCH, seed=0, shuffle=False)

    class Slow:
        get_state, set_state = iterator.get_state, iterator.set_state

        def __next__(self):
            time.sleep(slow)
            return next(iterator)

    return fit(
        TASK,
        Slow(),
        schedule=schedule,
        steps=steps,
        seed=0,
        directory=directory,
        launch=Launch(**launch),
    )


def rows_of(directory):
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def state_at(checkpoints_folder, step):
    template = init_state(TASK, optax.adam(RATE), jax.random.key(0))
    with Checkpoints(checkpoints_folder) as checkpoints:
        found, state, _ = checkpoints.restore(template)
    assert found == step
    return state


def test_loss_and_gradient_norm_are_the_means_since_the_last_line(tmp_path):
    """By hand, with Adam's first update: the rate, against the sign of the gradient."""
    train(tmp_path, steps=2)
    w = np.ones(3)
    found = []
    for step in range(2):
        x = X[step * BATCH : (step + 1) * BATCH].astype(float)
        gradient = 2 * ((x @ w - 1)[:, None] * x).mean(axis=0)
        found.append((np.square(x @ w - 1).mean(), np.linalg.norm(gradient)))
        w = w - RATE * np.sign(gradient)
    (row,) = rows_of(tmp_path)
    np.testing.assert_allclose(
        [row["loss"], row["gradient_norm"]], np.mean(found, axis=0), rtol=1e-5
    )


@pytest.mark.resume
def test_rates_waiting_and_what_a_step_costs(tmp_path):
    train(tmp_path, steps=4, slow=0.02)
    train(tmp_path, steps=9, slow=0.02)
    rows = rows_of(tmp_path)
    assert [row["step"] for row in rows] == [2, 4, 6, 8, 9]
    # In the first line of each process, for each compiles anew.
    assert [row["step"] for row in rows if "compile_seconds" in row] == [2, 6]
    assert [row["step"] for row in rows if "flop_per_step" in row] == [2, 6]
    for row in rows:
        assert row["examples_per_second"] == BATCH * row["steps_per_second"]
        assert row["steps_per_second"] < 1 / 0.02 * 2  # the first batch is fetched before
        assert 0.3 < row["input_wait"] <= 1
    assert rows[0]["compile_seconds"] > 0
    assert rows[0]["flop_per_step"] > 2 * BATCH * 3  # x @ w alone


def test_without_waiting_the_share_is_small(tmp_path):
    train(tmp_path)
    assert all(0 <= row["input_wait"] < 0.9 for row in rows_of(tmp_path))


@pytest.mark.resume
def test_lines_that_a_crash_left_are_dropped_or_mended(tmp_path):
    train(tmp_path, steps=4)
    path = tmp_path / "metrics.jsonl"
    good = path.read_text()
    # One past the checkpoint, one cut off; and one whose end of line never came.
    for left in (good + '{"step": 6, "loss": 1}\n{"step": 8, "lo', good.rstrip("\n")):
        path.write_text(left)
        train(tmp_path, steps=4)
        assert path.read_text() == good


@pytest.mark.resume
@pytest.mark.parametrize(
    ("what", "parallel"), [("the loss is nan", "pmap"), ("the gradients are not finite", "jit")]
)
def test_a_bad_step_is_named_and_the_state_before_it_saved(what, parallel, tmp_path):
    flag = np.ones(40, np.float32)
    flag[BAD_STEP * BATCH + 1] = np.nan if "loss" in what else 0.0
    # Nothing of what comes after the bad step may change what is kept.
    with pytest.raises(UserError, match=f"{what} at step {BAD_STEP}: .*learning_rate") as error:
        train(tmp_path / "bad", flag=flag, parallel=parallel, log_every=8)
    assert str(tmp_path / "bad" / "debug") in str(error.value)
    assert "\n" not in str(error.value)
    train(tmp_path / "good", steps=BAD_STEP, parallel=parallel)
    assert_same_bits(
        state_at(tmp_path / "bad" / "debug", BAD_STEP),
        state_at(tmp_path / "good" / "checkpoints", BAD_STEP),
    )
    with Checkpoints(tmp_path / "bad" / "checkpoints") as checkpoints:
        assert checkpoints.latest_step() == 4  # as it was
    # With images that are sound the run goes on as if nothing had been.
    mended = train(tmp_path / "bad", parallel=parallel)
    assert_same_bits(mended, train(tmp_path / "good", parallel=parallel))


def test_tensorboard_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UserError, match=r"--tensorboard needs tensorboardX: pip install"):
        train(tmp_path, tensorboard=True)


@pytest.mark.parametrize("members", [(), ("a", "b")])
def test_a_network_that_lost_what_it_had_learnt_is_named_once(members, tmp_path, caplog):
    """As a U-Net did whose loss was finite all the time."""

    def log(start, losses):
        path = tmp_path / "metrics.jsonl"
        with MetricsLog(path, start, 99, "unet", batch_size=1, members=members) as metrics:
            metrics.compiled(1.0, 1)
            for step, loss in enumerate(losses, start + 1):
                one = jnp.float32(loss)
                metrics.add(StepMetrics(*2 * [jnp.stack([one, 1.0]) if members else one]))
                metrics.flush(step)

    def warnings():
        return [record for record in caplog.records if record.levelname == "WARNING"]

    log(0, [0.5, 0.002, 0.19, 0.001, 0.0])
    log(3, [0.001, 0.004])
    assert not warnings()
    log(5, [0.11, 0.12])
    (record,) = warnings()
    who = "unet: a" if members else "unet"
    assert record.getMessage() == (
        f"{who} broke down: loss 0.11 at step 6, after 0.001 at step 4: lower"
        " schedule.learning_rate, or set schedule.clip_norm or schedule.decay"
    )
    caplog.clear()
    log(7, [0.1])  # a resumed run says so again, of what was logged before
    assert len(warnings()) == 1


@pytest.mark.resume
def test_event_files_hold_the_numbers_of_the_lines(tmp_path):
    pytest.importorskip("tensorboardX")
    train(tmp_path, steps=4, tensorboard=True)
    train(tmp_path, steps=9, tensorboard=True)
    events = read_events(tmp_path / "tensorboard")
    scalars = {
        (value.tag, event.step): value.simple_value
        for event in events
        for value in event.summary.value
    }
    rows = rows_of(tmp_path)
    wanted = {(name, row["step"]): row[name] for row in rows for name in row if name != "step"}
    assert scalars.keys() == wanted.keys()
    for key, value in wanted.items():
        np.testing.assert_allclose(scalars[key], value, rtol=1e-6)
    # What lay past a resumed step is hidden from there on.
    assert [event.step for event in events if event.HasField("session_log")] == [1, 5]


def test_event_files_name_the_members_and_leave_out_who_diverged(tmp_path):
    pytest.importorskip("tensorboardX")
    path, events = tmp_path / "metrics.jsonl", tmp_path / "events"
    with MetricsLog(path, 0, 9, "t", batch_size=1, members=("a", "b"), tensorboard=events) as log:
        log.add(StepMetrics(jnp.array([0.5, jnp.nan]), jnp.array([2.0, 3.0])))
        log.flush(1)
    scalars = {
        value.tag: value.simple_value
        for event in read_events(events)
        for value in event.summary.value
    }
    assert (scalars["loss/a"], scalars["gradient_norm/a"]) == (0.5, 2.0)
    assert not [tag for tag in scalars if tag.endswith("/b")]


def read_events(folder):
    """Returns the events of all files in order; a record is length, checksum, bytes, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    events = []
    for path in sorted(folder.iterdir()):
        data, place = path.read_bytes(), 0
        while place < len(data):
            length = int.from_bytes(data[place : place + 8], "little")
            events.append(Event.FromString(data[place + 12 : place + 12 + length]))
            place += 16 + length
    return events
