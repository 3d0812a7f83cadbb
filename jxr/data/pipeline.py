"""Batches of examples: endless, shuffled and resumable for training; in order for evaluation."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import grain
import numpy as np
from jaxtyping import Int

Batch = dict[str, np.ndarray]


@runtime_checkable
class Rows(Protocol):
    """What batches are taken from: an array, or something that rows can be taken of alike."""

    def __len__(self) -> int:
        """Returns how many rows there are."""

    def __getitem__(self, rows: Any) -> Any:
        """Returns a copy of some rows."""


def batches(
    arrays: Mapping[str, Rows],
    *,
    batch_size: int,
    seed: int,
    epochs: int | None = None,
    shuffle: bool = True,
    rows: Int[np.ndarray, " rows"] | None = None,
    part: tuple[int, int] = (0, 1),
) -> grain.DatasetIterator[Batch]:
    """Batches for training. Every example comes once an epoch, in another order each time.

    Epochs are joined before they are cut into batches, so no example is lost at their ends and
    a batch may span two. `get_state()` of the iterator is a dict that JSON can hold; after
    `set_state` of it on an iterator of the same arguments (which the state does not record),
    the batches go on exactly where they stopped.

    Args:
        arrays: equally long along axis 0; memory maps are read row by row, never as a whole.
        batch_size: examples a batch.
        seed: of the order, in [0, 2^32).
        epochs: after how many to stop; the last batch may then be smaller. None: never.
        shuffle: False keeps the order.
        rows: which examples to use, all if None; so that several tasks can share one big array.
        part: (index, count): of each batch only this one of so many parts is read and returned, for
            as many processes. Batches and states are those of one process.

    Returns:
        A Grain iterator over dicts: each array's rows, and 'example_id' (int32), the row in it.

    Raises:
        ValueError: arrays of different lengths, none, or called 'example_id' or 'mask'; no rows, or
            some that the arrays do not have; a batch size below 1, or an impossible part.
    """
    rows = checked_rows(arrays, rows, batch_size)
    index, count = part
    if not 0 <= index < count:
        raise ValueError(f"part must be (index, count) with 0 <= index < count, not {part}")

    def gather(positions: np.ndarray) -> Batch:
        return take(arrays, rows[np.array_split(positions, count)[index]])

    # Only indices pass through Grain; the rows are copied once, straight into their batch.
    dataset = grain.MapDataset.range(len(rows))
    if shuffle:
        # By `seed`, not `shuffle(seed=...)`: Grain adds the epoch to the latter, so that the
        # second epoch of seed 0 would be the first one of seed 1.
        dataset = dataset.seed(seed).shuffle()
    dataset = dataset.repeat(epochs).batch(batch_size).map(gather)
    # One thread prepares the next batch during a step; more would only compete with it.
    options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
    return iter(dataset.to_iter_dataset(options))


def eval_batches(
    arrays: Mapping[str, Rows],
    *,
    batch_size: int,
    rows: Int[np.ndarray, " rows"] | None = None,
) -> Iterator[Batch]:
    """Batches for evaluation: one pass in order, all of one size.

    Args:
        arrays: as in `batches`.
        batch_size: examples a batch.
        rows: which examples to use, all if None.

    Returns:
        Dicts as those of `batches`, with 'mask', float32: 1 for an example, 0 for the padding (the
        first example, repeated) at the end of the last batch; so every example counts once.

    Raises:
        ValueError: as `batches`.
    """
    rows = checked_rows(arrays, rows, batch_size)

    def generate() -> Iterator[Batch]:
        for start in range(0, len(rows), batch_size):
            positions = np.arange(start, start + batch_size)
            real = positions < len(rows)
            batch = take(arrays, rows[np.where(real, positions, 0)])
            yield batch | {"mask": real.astype(np.float32)}

    return generate()


def take(arrays: Mapping[str, Rows], rows: Int[np.ndarray, " batch"]) -> Batch:
    """Copies some rows of each array."""
    batch = {name: np.asarray(values[rows]) for name, values in arrays.items()}
    return batch | {"example_id": rows.astype(np.int32)}


def checked_rows(
    arrays: Mapping[str, Rows], rows: Int[np.ndarray, " rows"] | None, batch_size: int
) -> Int[np.ndarray, " rows"]:
    """Checks the arguments that both kinds of batches share, and returns the rows to use."""
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"arrays must be equally long, and at least one; got lengths {lengths}")
    if {"example_id", "mask"} & set(arrays):
        raise ValueError("'example_id' and 'mask' are added here; name the arrays differently")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    length = next(iter(lengths.values()))
    rows = np.arange(length) if rows is None else rows
    if len(rows) == 0:
        raise ValueError("no examples; give at least one row")
    if rows.min() < 0 or rows.max() >= length:
        raise ValueError(f"rows must lie in [0, {length}); got {rows.min()} to {rows.max()}")
    return rows
