"""A run that is killed outright, again and again, also while it saves, ends as if it never was."""

import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.training.test_loop import assert_same_bits

ROOT = Path(__file__).resolve().parents[2]
KILLS, STEPS = 20, 240
CACHE_ALL = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}

# As little as training needs, for it starts twenty times.
SCRIPT = """
import sys
from pathlib import Path
import jax, numpy as np
from jxr.config import HeadConfig, ScheduleConfig
from jxr.data import batches
from jxr.training.loop import fit
from jxr.training.tasks import classifier_task

def train(folder, steps, every):
    rng = np.random.default_rng(0)
    arrays = {"features": rng.normal(size=(20, 10)).astype(np.float32),
              "label": rng.integers(0, 2, 20).astype(np.int32)}
    inner = batches(arrays, batch_size=4, seed=3)

    class Telling:
        get_state, set_state = inner.get_state, inner.set_state
        def __next__(self):
            print("ready", flush=True)
            return next(inner)

    schedule = ScheduleConfig(batch_size=4, learning_rate=1e-2, checkpoint_every=every)
    return fit(classifier_task(HeadConfig(hidden=(6,)), 10), Telling(), schedule=schedule,
               steps=steps, seed=3, directory=Path(folder))
"""


def start(folder):
    return subprocess.Popen(
        [sys.executable, "-c", f"{SCRIPT}\ntrain({str(folder)!r}, {STEPS}, 1)"],
        cwd=ROOT,
        env={**os.environ, **CACHE_ALL, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def unfinished(folder):
    return list((folder / "checkpoints").glob("*.orbax-checkpoint-tmp"))


@pytest.mark.resume
def test_twenty_kills_at_random_moments_and_inside_saves_change_no_bit(tmp_path):
    folder = tmp_path / "killed"
    generator = np.random.default_rng(0)
    in_a_save = 0
    for number in range(KILLS):
        process = start(folder)
        assert process.stdout.readline() == b"ready\n"
        if number % 2:
            time.sleep(generator.uniform(0, 0.5))
        else:  # some saves on, inside the next one
            for _ in range(generator.integers(2, 7)):
                process.stdout.readline()
            while process.poll() is None and not unfinished(folder):
                pass
        process.kill()
        process.communicate()
        assert process.returncode == -9  # not done before
        in_a_save += bool(unfinished(folder))
    assert in_a_save >= KILLS // 4
    names: dict = {}
    exec(SCRIPT, names)
    assert any(path.name.isdigit() for path in (folder / "checkpoints").iterdir())
    finished = names["train"](folder, STEPS, STEPS)
    straight = names["train"](tmp_path / "straight", STEPS, STEPS)
    assert_same_bits(jax.device_get(finished), jax.device_get(straight))
