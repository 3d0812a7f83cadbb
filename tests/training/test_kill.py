"""A run that is killed outright, again and again, also while it saves, ends as if it never was."""

import signal
import time

import jax
import numpy as np
import pytest

from tests import forked
from tests.training import kill_target
from tests.training.test_loop import assert_same_bits

KILLS, STEPS = 12, 240
MOST_SECONDS = 120  # a hang ends here


def unfinished(folder):
    return list((folder / "checkpoints").glob("*.orbax-checkpoint-tmp"))


@pytest.mark.resume
def test_kills_at_random_moments_and_inside_saves_change_no_bit(tmp_path):
    folder = tmp_path / "killed"
    generator = np.random.default_rng(0)
    in_a_save = 0
    for number in range(KILLS):
        told, tells = forked.Pipe(duplex=False)
        process = forked.start(kill_target.train_and_tell, folder, STEPS, 1, tells)
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
