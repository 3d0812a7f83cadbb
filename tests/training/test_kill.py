"""A run that is killed outright, again and again, also while it saves, ends as if it never was."""

import multiprocessing
import signal
import time

import jax
import numpy as np
import pytest

from tests.training import kill_target
from tests.training.test_loop import assert_same_bits

KILLS, STEPS = 12, 240
MOST_SECONDS = 120  # a hang ends here


@pytest.fixture
def processes(monkeypatch):
    """Makes processes that have imported all they need, which takes longer than training here.

    They are forked from one that has imported it and done nothing else.
    """
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([kill_target.__name__])
    return context


def unfinished(folder):
    return list((folder / "checkpoints").glob("*.orbax-checkpoint-tmp"))


@pytest.mark.resume
def test_kills_at_random_moments_and_inside_saves_change_no_bit(processes, tmp_path):
    folder = tmp_path / "killed"
    generator = np.random.default_rng(0)
    in_a_save = 0
    for number in range(KILLS):
        told, tells = processes.Pipe(duplex=False)
        process = processes.Process(
            target=kill_target.train_and_tell, args=(folder, STEPS, 1, tells)
        )
        process.start()
        tells.close()  # its end is there now
        try:
            assert told.poll(MOST_SECONDS)
            assert told.recv_bytes() == b"ready"
            if number % 2:
                time.sleep(generator.uniform(0, 0.5))
            else:  # some saves on, inside the next one
                for _ in range(generator.integers(2, 7)):
                    told.recv_bytes()
                while process.is_alive() and not unfinished(folder):
                    time.sleep(0.001)
        finally:
            process.kill()
            process.join()
        assert process.exitcode == -signal.SIGKILL  # not done before
        in_a_save += bool(unfinished(folder))
    assert in_a_save >= KILLS // 4
    assert any(path.name.isdigit() for path in (folder / "checkpoints").iterdir())
    finished = kill_target.train(folder, STEPS, STEPS)
    straight = kill_target.train(tmp_path / "straight", STEPS, STEPS)
    assert_same_bits(jax.device_get(finished), jax.device_get(straight))
