"""What goes wrong while a run saves: damaged checkpoints, a full disk, a second writer."""

import errno
import functools
import gc
import json
import os
import resource
import shutil
import time
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from jxr.config import HeadConfig, ScheduleConfig
from jxr.data import batches
from jxr.errors import UserError
from jxr.files import training_lock
from jxr.training.checkpoints import Checkpoints, load_params
from jxr.training.loop import fit
from jxr.training.step import init_state
from jxr.training.tasks import classifier_task
from tests.training.test_loop import CASES, STEPS, assert_same_bits, final_state, train

CASE = "classifier"
NEWEST, BEFORE = STEPS, 8


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 3, len(data), len(data) // 3 + 1):
        data[place] ^= 0x01  # of a digit: another digit
    path.write_bytes(data)


DAMAGES = {
    "truncated": truncate,
    "missing": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "flipped": flip,
}
# Every kind of file that a checkpoint has; of copies and marks that are never read, none.
FILES = (
    "data/metadata",
    "*/_METADATA",
    "*/_sharding",
    "*/array_metadatas/process_0",
    "*/manifest.ocdbt",
    "*/d/*",
    "_CHECKPOINT_METADATA",
    "commit_success.txt",
    "*/ocdbt.process_0/manifest.ocdbt",
    "*/ocdbt.process_0/d/*",
)
# Of these kinds Orbax can do without a file, or without some of its bytes.
SPARE = ("_sharding", "process_0", "_CHECKPOINT_METADATA", "commit_success.txt")

# A read that fails leaves others that Orbax never awaits.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*was never awaited:RuntimeWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


@pytest.fixture(autouse=True)
def no_reads_left_behind():
    """Ends the reads that Orbax gave up here, rather than in whatever test comes next."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    return folder, train(CASE, folder)


@functools.cache
def template():
    task, _ = CASES[CASE]
    return jax.jit(lambda: init_state(task, optax.adam(1e-2), jax.random.key(0)))()


def read_params(folder):
    return load_params(folder / "checkpoints", template().params)


def read_state(folder, step=None):
    """Returns the newest state there that can be read, or that of one step."""
    if step:
        folder = shutil.copytree(folder, folder.with_name(f"{folder.name}-{step}"))
        for other in (folder / "checkpoints").iterdir():
            if other.name != str(step):
                shutil.rmtree(other)
    with Checkpoints(folder / "checkpoints") as checkpoints:
        return checkpoints.restore(template())


@pytest.fixture(scope="module")
def states(finished):
    folder, _ = finished
    return {step: read_state(folder, step) for step in (BEFORE, NEWEST)}


def damaged(folder, copy, kind, damage):
    shutil.copytree(folder, copy)
    files = sorted((copy / "checkpoints" / str(NEWEST)).glob(kind))
    assert files
    for path in files:
        DAMAGES[damage](path)
    return copy


@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_checkpoint_is_reported_and_the_one_before_used(
    kind, finished, states, tmp_path, caplog
):
    folder, _ = finished
    report = f"checkpoint of step {NEWEST} cannot be read"
    for damage in DAMAGES:
        caplog.clear()
        copy = damaged(folder, tmp_path / damage, kind, damage)
        refused = None
        try:
            params = read_params(copy)
        except UserError as error:
            refused = str(error)
        if refused:  # for older parameters are not what the run made
            assert report in refused
            assert "train again" in refused
        else:
            assert_same_bits(params, states[NEWEST][1].params)
        assert (copy / "checkpoints" / str(NEWEST)).is_dir()  # who only reads deletes nothing
        caplog.clear()
        step, *state = read_state(copy)
        assert step == (BEFORE if report in caplog.text else NEWEST)
        assert_same_bits(state, list(states[step][1:]))
        assert step == BEFORE or any(name in kind for name in SPARE), (kind, damage)


@pytest.mark.resume
def test_training_goes_on_from_the_one_before_to_the_same_bits(finished, tmp_path, caplog):
    folder, params = finished
    copy = damaged(folder, tmp_path / "run", "*/d/*", "truncated")
    assert_same_bits(train(CASE, copy), params)
    assert f"checkpoint of step {NEWEST} cannot be read" in caplog.text
    assert_same_bits(final_state(CASE, copy), final_state(CASE, folder))  # saved anew


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The folder of a run with another seed."""
    folder = tmp_path_factory.mktemp("other")
    train(CASE, folder, seed=4)
    return folder


@pytest.mark.parametrize("item", ["params", "optimizer"])
def test_arrays_that_orbax_takes_for_sound_are_checked(item, finished, other, tmp_path, caplog):
    """Large arrays lie in files without checksums: here one is saved in another's place."""
    folder, _ = finished
    run = tmp_path / "run"
    shutil.copytree(folder, run)
    newest = f"checkpoints/{NEWEST}/{item}"
    shutil.rmtree(run / newest)
    shutil.copytree(other / newest, run / newest)
    _, params = finished
    assert_same_bits(train(CASE, run), params)
    assert f"{item}: bytes of '" in caplog.text


@pytest.mark.resume
def test_without_any_sound_checkpoint_nothing_is_deleted(finished, tmp_path):
    folder, _ = finished
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for step in (BEFORE, NEWEST):
        (tmp_path / "checkpoints" / str(step) / "data" / "metadata").write_text("{}")
    message = r"none of the checkpoints can be read \(steps 9, 8\): put back a copy, or delete"
    with pytest.raises(UserError, match=message):
        train(CASE, tmp_path)
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"8", "9"}


def test_reading_leaves_alone_what_is_just_being_saved(finished, tmp_path):
    folder, params = finished
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    unfinished = tmp_path / "checkpoints" / "12.orbax-checkpoint-tmp"
    unfinished.mkdir()
    assert_same_bits(read_params(tmp_path), params)
    assert unfinished.is_dir()


def train_wide(folder, every, wrapped=lambda inner: inner):
    """Trains a head whose arrays are larger than the limit above."""
    generator = np.random.default_rng(0)
    arrays = {
        "features": generator.normal(size=(20, 300)).astype(np.float32),
        "label": generator.integers(0, 2, 20).astype(np.int32),
    }
    return fit(
        classifier_task(HeadConfig(hidden=(200,)), 300),
        wrapped(batches(arrays, batch_size=4, seed=3)),
        schedule=ScheduleConfig(batch_size=4, checkpoint_every=every, log_every=1),
        steps=6,
        seed=3,
        directory=folder,
    )


class Filling:
    """Lets no file grow large any more once the state at step 2 is on disk."""

    def __init__(self, folder, inner):
        self.saved, self.inner, self.fetched = folder / "checkpoints" / "2", inner, 0
        self.get_state, self.set_state = inner.get_state, inner.set_state

    def __next__(self):
        self.fetched += 1
        if self.fetched == 3:
            until = time.monotonic() + 60
            while not self.saved.is_dir() and time.monotonic() < until:
                time.sleep(0.01)
            _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 17, most))
        return next(self.inner)


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    return jax.device_get(train_wide(tmp_path_factory.mktemp("wide"), 6))


@pytest.mark.resume
@pytest.mark.parametrize("every", [1, 2])  # surfaces at the next save; at the last one
def test_a_full_disk_is_one_line_and_older_checkpoints_stay(every, wide, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(UserError) as failed:
            train_wide(tmp_path, every, functools.partial(Filling, tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    (line,) = str(failed.value).splitlines()
    assert f"a checkpoint could not be saved ({os.strerror(errno.EFBIG)}): make room" in line
    assert (tmp_path / "checkpoints" / "2").is_dir()
    assert_same_bits(train_wide(tmp_path, every), wide)


def test_a_second_writer_is_refused(tmp_path):
    with (
        training_lock(tmp_path),
        pytest.raises(UserError, match=r"another run is training here \(.*\): wait for it, or"),
    ):
        train("classifier", tmp_path)
    assert not (tmp_path / "checkpoints").exists()
    train("classifier", tmp_path)  # once it is free
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])["step"] == STEPS


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch, caplog):
    def unsupported(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", unsupported)
    with training_lock(tmp_path):
        assert "no locks here" in caplog.text
