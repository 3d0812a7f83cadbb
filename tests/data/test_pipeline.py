import json
import subprocess
import sys
from itertools import islice

import numpy as np
import pytest

from jxr.data import batches, eval_batches

N = 50


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    images = np.random.default_rng(0).random((N, 4, 4, 1), np.float32)
    return {"image": images, "label": np.arange(N, dtype=np.int32) % 3}


def order(iterator, count: int) -> np.ndarray:
    """The ids of the next examples."""
    ids: list[int] = []
    while len(ids) < count:
        ids.extend(next(iterator)["example_id"])
    return np.array(ids[:count])


def test_rows_belong_to_their_ids(arrays):
    for batch in islice(batches(arrays, batch_size=8, seed=0), 20):
        assert set(batch) == {"image", "label", "example_id"}
        assert batch["example_id"].dtype == np.int32
        assert batch["image"].shape == (8, 4, 4, 1)
        np.testing.assert_array_equal(batch["image"], arrays["image"][batch["example_id"]])
        np.testing.assert_array_equal(batch["label"], arrays["label"][batch["example_id"]])


def test_every_epoch_has_every_example_once_in_another_order(arrays):
    # 8 does not divide 50: some batches span two epochs.
    epochs = order(batches(arrays, batch_size=8, seed=0), 5 * N).reshape(5, N)
    for epoch in epochs:
        assert sorted(epoch) == list(range(N))
    assert len({tuple(epoch) for epoch in epochs}) == 5
    assert list(range(N)) not in epochs.tolist()


def test_a_given_number_of_epochs_ends(arrays):
    ids = [batch["example_id"] for batch in batches(arrays, batch_size=8, seed=0, epochs=3)]
    assert [len(i) for i in ids] == [8] * 18 + [6]
    assert sorted(np.concatenate(ids)) == sorted(list(range(N)) * 3)


def test_the_seed_decides(arrays):
    first = order(batches(arrays, batch_size=8, seed=0), 6 * N)
    np.testing.assert_array_equal(order(batches(arrays, batch_size=8, seed=0), 6 * N), first)
    # The batch size only cuts the same stream elsewhere.
    np.testing.assert_array_equal(order(batches(arrays, batch_size=3, seed=0), 6 * N), first)
    # No epoch of one seed is an epoch of the next.
    second = order(batches(arrays, batch_size=8, seed=1), 6 * N)
    epochs = [tuple(epoch) for epoch in np.concatenate([first, second]).reshape(12, N)]
    assert len(set(epochs)) == 12


def test_without_shuffling_the_order_is_kept(arrays):
    ids = order(batches(arrays, batch_size=8, seed=0, shuffle=False), 2 * N)
    np.testing.assert_array_equal(ids, np.tile(np.arange(N), 2))


@pytest.mark.parametrize("stop", [0, 1, 4, 9])
def test_resumes_exactly_from_a_state_in_json(arrays, stop):
    iterator = batches(arrays, batch_size=8, seed=3)
    for _ in range(stop):
        next(iterator)
    state = json.dumps(iterator.get_state())
    expected = list(islice(iterator, 12))

    resumed = batches(arrays, batch_size=8, seed=3)
    next(resumed)
    resumed.set_state(json.loads(state))
    for ours, theirs in zip(islice(resumed, 12), expected, strict=True):
        for name in theirs:
            np.testing.assert_array_equal(ours[name], theirs[name])

    iterator.set_state(json.loads(state))
    np.testing.assert_array_equal(next(iterator)["example_id"], expected[0]["example_id"])


def test_reads_memory_maps(arrays, tmp_path):
    np.save(tmp_path / "image.npy", arrays["image"])
    mapped = arrays | {"image": np.load(tmp_path / "image.npy", mmap_mode="r")}
    expected = batches(arrays, batch_size=8, seed=0, epochs=2)
    for ours, theirs in zip(batches(mapped, batch_size=8, seed=0, epochs=2), expected, strict=True):
        np.testing.assert_array_equal(ours["image"], theirs["image"])
        assert type(ours["image"]) is np.ndarray
        assert ours["image"].flags.writeable


def test_rows_choose_examples_and_keep_their_ids(arrays):
    rows = np.array([40, 3, 17, 8, 25])
    ids = order(batches(arrays, batch_size=2, seed=0, rows=rows), 10)
    assert sorted(ids[:5]) == sorted(ids[5:]) == sorted(rows)
    ordered = [batch["example_id"] for batch in eval_batches(arrays, batch_size=5, rows=rows)]
    np.testing.assert_array_equal(ordered, [rows])


class Recorded:
    """Rows that remember which of them were read."""

    def __init__(self, values):
        self.values, self.read = values, set()

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        self.read |= set(rows.tolist())
        return self.values[rows]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_parts_together_are_the_batches_and_each_reads_its_own_rows_only(arrays, count):
    whole = batches(arrays, batch_size=8, seed=3, epochs=1)
    images = [Recorded(arrays["image"]) for _ in range(count)]
    parts = [
        batches({"image": images[i]}, batch_size=8, seed=3, epochs=1, part=(i, count))
        for i in range(count)
    ]
    for batch in whole:  # the last one has two examples: some parts of it are empty
        shares = [next(part) for part in parts]
        for name in ("image", "example_id"):
            joined = np.concatenate([share[name] for share in shares])
            np.testing.assert_array_equal(joined, batch[name])
        # One state serves any number of processes.
        assert all(part.get_state() == whole.get_state() for part in parts)
    rows = [recorded.read for recorded in images]
    assert sum(map(len, rows)) == len(set.union(*rows)) == N


def test_a_part_that_there_is_not(arrays):
    with pytest.raises(ValueError, match=r"0 <= index < count, not \(2, 2\)"):
        batches(arrays, batch_size=8, seed=3, part=(2, 2))


@pytest.mark.parametrize("batch_size", [1, 8, 25, 50, 64])
def test_evaluation_counts_every_example_once(arrays, batch_size):
    result = list(eval_batches(arrays, batch_size=batch_size))
    assert len(result) == -(-N // batch_size)
    ids, masks, images = (
        np.concatenate([batch[name] for batch in result])
        for name in ("example_id", "mask", "image")
    )
    assert {len(batch["image"]) for batch in result} == {batch_size}
    assert masks.dtype == np.float32
    np.testing.assert_array_equal(ids[masks == 1], np.arange(N))
    np.testing.assert_array_equal(images[masks == 1], arrays["image"])
    assert masks.sum() == N
    np.testing.assert_array_equal(ids[masks == 0], 0)
    assert np.isin(masks, [0, 1]).all()


@pytest.mark.parametrize("make", [lambda *a, **k: batches(*a, seed=0, **k), eval_batches])
def test_wrong_arguments(arrays, make):
    with pytest.raises(ValueError, match="batch_size must be at least 1, not 0"):
        make(arrays, batch_size=0)
    with pytest.raises(ValueError, match="equally long"):
        make(arrays | {"short": np.zeros(3)}, batch_size=2)
    with pytest.raises(ValueError, match="at least one"):
        make({}, batch_size=2)
    for name in ("mask", "example_id"):
        with pytest.raises(ValueError, match="name the arrays differently"):
            make(arrays | {name: np.zeros(N)}, batch_size=2)
    with pytest.raises(ValueError, match="no examples"):
        make(arrays, batch_size=2, rows=np.arange(0))
    for rows in ([0, 50], [-1, 0]):
        with pytest.raises(ValueError, match=r"rows must lie in \[0, 50\)"):
            make(arrays, batch_size=2, rows=np.array(rows))


def test_import_brings_no_heavy_packages():
    code = "import sys, jxr.data; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "grain" in loaded
    heavy = {"tensorflow", "tensorflow_datasets", "torch", "matplotlib", "sklearn", "flax"}
    assert not heavy & set(loaded)
