"""What `test_kill` trains, with as little to import as training needs."""

from pathlib import Path

import jax
import numpy as np

from jxr.config import HeadConfig, ScheduleConfig
from jxr.data import batches
from jxr.training.loop import fit
from jxr.training.tasks import classifier_task


def train(folder: Path, steps: int, every: int, fetched=lambda: None):
    """Trains on with a checkpoint every so many steps; calls `fetched` before each step."""
    rng = np.random.default_rng(0)
    arrays = {
        "features": rng.normal(size=(20, 10)).astype(np.float32),
        "label": rng.integers(0, 2, 20).astype(np.int32),
    }
    inner = batches(arrays, batch_size=4, seed=3)

    class Telling:
        get_state, set_state = inner.get_state, inner.set_state

        def __next__(self):
            fetched()
            return next(inner)

    return fit(
        classifier_task(HeadConfig(hidden=(6,)), 10),
        Telling(),
        schedule=ScheduleConfig(batch_size=4, learning_rate=1e-2, checkpoint_every=every),
        steps=steps,
        seed=3,
        directory=folder,
    )


def train_and_tell(folder: Path, steps: int, every: int, pipe) -> None:
    """Trains in a process of its own, which says so before each step."""
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # it starts often
    train(folder, steps, every, lambda: pipe.send_bytes(b"ready"))
