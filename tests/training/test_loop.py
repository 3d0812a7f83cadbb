"""The loop: exact resume, signals, checkpoints of other models, metrics."""

import json
import os
import shutil
import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jxr.config import BlurConfig, HeadConfig, ScheduleConfig, UNetConfig
from jxr.data import batches
from jxr.errors import UserError
from jxr.training.checkpoints import Checkpoints, load_params
from jxr.training.launch import Launch
from jxr.training.loop import fit, make_optimizer
from jxr.training.step import init_state
from jxr.training.stopping import Stopped
from jxr.training.tasks import classifier_task, restorer_task

STEPS = 9
RNG = np.random.default_rng(0)
CASES = {
    "classifier": (
        classifier_task(HeadConfig(hidden=(6,)), in_features=10),
        {
            "features": RNG.normal(size=(20, 10)).astype(np.float32),
            "label": RNG.integers(0, 2, 20).astype(np.int32),
        },
    ),
    "restorer": (
        restorer_task(UNetConfig(width=2, depth=1, crop=16), BlurConfig(sigma=1.0, noise=0.05)),
        {"image": RNG.random((20, 32, 32, 1), np.float32)},
    ),
}


class StopAt:
    """Sends this process a signal while batch number `at` is fetched."""

    signum = signal.SIGTERM

    def __init__(self, inner, at):
        self.inner, self.at = inner, at
        self.get_state, self.set_state = inner.get_state, inner.set_state

    def __next__(self):
        if self.at == 0:
            os.kill(os.getpid(), self.signum)
        self.at -= 1
        return next(self.inner)


def train(
    case,
    directory,
    *,
    steps=STEPS,
    stop_at=None,
    seed=3,
    learning_rate=1e-2,
    batch_size=4,
    parallel="jit",
    part=(0, 1),
    accumulate=1,
):
    task, arrays = CASES[case]
    schedule = ScheduleConfig(
        epochs=1,
        batch_size=batch_size,
        learning_rate=learning_rate,
        accumulate=accumulate,
        log_every=2,
        checkpoint_every=4,
    )
    iterator = batches(arrays, batch_size=batch_size, seed=seed, part=part)
    if stop_at is not None:
        iterator = StopAt(iterator, stop_at)
    return fit(
        task,
        iterator,
        schedule=schedule,
        steps=steps,
        seed=seed,
        directory=directory,
        title=case,
        launch=Launch(parallel),
    )


def assert_close(left, right):
    """As between numbers of devices; `test_parallel` says why this tolerance means something."""
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def assert_same_bits(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def final_state(case, directory):
    task, _ = CASES[case]
    template = init_state(task, optax.adam(1e-2), jax.random.key(0))
    with Checkpoints(directory / "checkpoints") as checkpoints:
        assert checkpoints.latest_step() == STEPS
        return checkpoints.restore(template)[1:]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """Of each case a run that was never interrupted: its folder, which stays as it is, and result.

    Its parameters are on the host: what uses them again cannot spoil them.
    """
    root = tmp_path_factory.mktemp("straight")
    return {case: (root / case, jax.device_get(train(case, root / case))) for case in CASES}


@pytest.mark.resume
@pytest.mark.parametrize(
    # Before the first step, at a checkpoint that was due, and between two.
    ("case", "stop_at"),
    [("classifier", 0), ("classifier", 4), ("restorer", 5)],
)
def test_stop_by_sigterm_and_resume_equals_straight_run_bit_for_bit(
    case, stop_at, straight, tmp_path
):
    folder, params = straight[case]
    with pytest.raises(Stopped, match=f"stopped at step {stop_at + 1} of {STEPS}"):
        train(case, tmp_path / "resumed", stop_at=stop_at)
    resumed = train(case, tmp_path / "resumed")
    assert_same_bits(params, resumed)
    assert_same_bits(final_state(case, folder), final_state(case, tmp_path / "resumed"))


@pytest.mark.resume
def test_resume_from_an_older_checkpoint_after_a_crash(straight, tmp_path):
    folder, params = straight["classifier"]

    class Crash(Exception):
        pass

    task, arrays = CASES["classifier"]
    inner = batches(arrays, batch_size=4, seed=3)

    class CrashAt6(StopAt):
        def __next__(self):
            self.at -= 1
            if self.at < 0:
                raise Crash
            return next(self.inner)

    schedule = ScheduleConfig(
        epochs=1, batch_size=4, learning_rate=1e-2, log_every=2, checkpoint_every=4
    )
    with pytest.raises(Crash):
        fit(task, CrashAt6(inner, 6), schedule=schedule, steps=STEPS, seed=3,
            directory=tmp_path / "crashed")  # fmt: skip
    with Checkpoints(tmp_path / "crashed" / "checkpoints") as checkpoints:
        assert checkpoints.latest_step() == 4
    assert_same_bits(params, train("classifier", tmp_path / "crashed"))
    logs = [
        [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        for run in (folder, tmp_path / "crashed")
    ]
    straight_log, crashed_log = ([(row["step"], row["loss"]) for row in log] for log in logs)
    assert straight_log == crashed_log
    assert [step for step, _ in straight_log] == [2, 4, 6, 8, 9]


def test_a_finished_run_is_not_trained_again(straight, tmp_path):
    folder, first = straight["classifier"]
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)

    class Unused:
        get_state = set_state = staticmethod(lambda *_: {})

        def __next__(self):
            raise AssertionError("a finished run fetched a batch")

    task, _ = CASES["classifier"]
    schedule = ScheduleConfig(epochs=1, batch_size=4, checkpoint_every=4)
    again = fit(task, Unused(), schedule=schedule, steps=STEPS, seed=3, directory=tmp_path)
    assert_same_bits(first, again)


def test_the_seed_decides_the_run(straight, tmp_path):
    first = jax.tree.leaves(straight["classifier"][1])
    other = jax.tree.leaves(train("classifier", tmp_path, seed=4))
    assert any((np.asarray(a) != np.asarray(b)).any() for a, b in zip(first, other, strict=True))


def test_checkpoint_of_another_model_is_refused_by_name(straight, tmp_path):
    shutil.copytree(straight["classifier"][0], tmp_path, dirs_exist_ok=True)
    task = classifier_task(HeadConfig(hidden=(7,)), in_features=10)
    _, arrays = CASES["classifier"]
    schedule = ScheduleConfig(epochs=1, batch_size=4)
    with pytest.raises(
        UserError, match=r"another model: array '.*bias' is \(6,\) there and \(7,\) in"
    ):
        fit(task, batches(arrays, batch_size=4, seed=3), schedule=schedule, steps=STEPS, seed=3,
            directory=tmp_path)  # fmt: skip
    template = jax.eval_shape(task.init, jax.random.key(0))
    with pytest.raises(
        UserError, match=r"another model: array '.*bias' is \(6,\) there and \(7,\) in"
    ):
        load_params(tmp_path / "checkpoints", template)


def test_loaded_parameters_are_the_trained_ones(straight):
    folder, trained = straight["restorer"]
    task, _ = CASES["restorer"]
    template = jax.eval_shape(task.init, jax.random.key(0))
    assert_same_bits(trained, load_params(folder / "checkpoints", template))


def test_loading_from_an_empty_place_says_to_train_first(tmp_path):
    with pytest.raises(UserError, match="train first"):
        load_params(tmp_path / "none", {})


def test_sigint_stops_as_sigterm_does(tmp_path):
    # Not Python's own handler where a shell runs the tests in the background.
    before = signal.getsignal(signal.SIGINT)
    task, arrays = CASES["classifier"]

    class Interrupted(StopAt):
        signum = signal.SIGINT

    iterator = Interrupted(batches(arrays, batch_size=4, seed=3), 2)
    schedule = ScheduleConfig(epochs=1, batch_size=4)
    with pytest.raises(Stopped) as stopped:
        fit(task, iterator, schedule=schedule, steps=STEPS, seed=3, directory=tmp_path)
    assert stopped.value.signum == signal.SIGINT
    assert signal.getsignal(signal.SIGINT) is before


def test_not_one_step_is_refused(tmp_path):
    with pytest.raises(UserError, match="not one step"):
        train("classifier", tmp_path, steps=0)


def test_fewer_steps_than_were_done_are_refused(straight, tmp_path):
    shutil.copytree(straight["classifier"][0], tmp_path, dirs_exist_ok=True)
    with pytest.raises(UserError, match=r"step 9 already, past the last one, 6: raise"):
        train("classifier", tmp_path, steps=6)


def test_the_optimiser_is_adam_that_decays_along_a_cosine_on_clipped_gradients():
    """By the definition, in NumPy."""
    schedule = ScheduleConfig(learning_rate=0.1, decay="cosine", clip_norm=0.5)
    optimizer = make_optimizer(schedule, steps=10)
    state = optimizer.init(jnp.zeros(2))
    first, second = np.zeros(2), np.zeros(2)
    for step in range(10):
        gradient = np.array([3.0, -4.0]) * (step + 1)
        update, state = optimizer.update(jnp.asarray(gradient, jnp.float32), state)
        clipped = 0.5 * gradient / np.linalg.norm(gradient)
        first = 0.9 * first + 0.1 * clipped
        second = 0.999 * second + 0.001 * clipped**2
        scaled = (first / (1 - 0.9 ** (step + 1))) / (
            np.sqrt(second / (1 - 0.999 ** (step + 1))) + 1e-8
        )
        rate = 0.1 * (1 + np.cos(np.pi * step / 10)) / 2
        np.testing.assert_allclose(update, -rate * scaled, rtol=1e-4)
    # Short gradients stay as they are, and without either it is Adam itself.
    plain = make_optimizer(ScheduleConfig(learning_rate=0.1), steps=10)
    update, _ = plain.update(jnp.array([0.3, 0.0]), plain.init(jnp.zeros(2)))
    np.testing.assert_allclose(update, [-0.1, 0.0], rtol=1e-4)
