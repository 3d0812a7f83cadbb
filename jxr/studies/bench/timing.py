"""Two ways to the same result, timed side by side: ours and a peer's, alternating in one run."""

import functools
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from statistics import median
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from jxr.threads import cores

# The parts of the contract by which a row is known.
KEY = ("what", "peer_name", "device", "dtype")

# Calls shorter than this are repeated within one sample: seconds.
SAMPLE = 0.2

# Threads that have just worked go on spinning for a while, and would slow the other side: seconds.
PAUSE = 0.05

Item = TypeVar("Item")


class Case(NamedTuple):
    """One row of the benchmark, ready to be measured.

    Attributes:
        what: the work, a name of the contract (`wiener`, ...).
        peer_name: who else does it, and on how many threads.
        ours: does it once and waits for the result; the inputs lie on the device.
        peer: the same, with inputs of its own kind.
        error: does it both ways and returns how far the results are apart, or NaN.
        tolerance: the largest error with which the two count as the same.
        batch: images a call.
        versions: packages of the peer.
        dtype: in which both compute.
        flop: floating-point operations of a call of ours; 0: not counted.
    """

    what: str
    peer_name: str
    ours: Callable[[], Any]
    peer: Callable[[], Any]
    error: Callable[[], float]
    tolerance: float
    batch: int
    versions: tuple[str, ...]
    dtype: str = "float32"
    flop: int = 0


def against(
    what: str, name: str, ours: Callable, peer: Callable, tolerance: float, batch: int,
    versions: tuple[str, ...],
) -> Case:  # fmt: skip
    """Returns a case whose results are compared value by value."""

    def error() -> float:
        return largest_difference(ours(), peer())

    return Case(what, name, ours, peer, error, tolerance, batch, versions)


def measure(case: Case, repeats: int) -> dict[str, Any]:
    """Returns the row of a case, after a check that both sides give the same.

    Ours and the peer alternate, so that both meet the same moods of the machine; the medians are
    compared. Compilation and warm-up happen before and count for neither.

    Args:
        case: what is measured.
        repeats: samples of each side, at least 1; a sample is of many calls if they are short.

    Returns:
        A row as in experiments/results/bench.json, in images/s.

    Raises:
        ValueError: if the results differ by more than the tolerance: then times mean nothing.
    """
    error = case.error()
    if not error <= case.tolerance:
        raise ValueError(
            f"{case.what}: ours and {case.peer_name} differ by {error:.2g}, more than "
            f"{case.tolerance:g}; not timed"
        )
    ours, peer = alternate(case.ours, case.peer, repeats)
    row = {
        "what": case.what,
        "ours": significant(case.batch / median(ours)),
        "peer": significant(case.batch / median(peer)),
        "peer_name": case.peer_name,
        "ratio": significant(median(peer) / median(ours), 3),
        "unit": "images/s",
        "device": jax.devices()[0].device_kind,
        "batch": case.batch,
        "dtype": case.dtype,
        "versions": {name: version(name) for name in ("jax", "jaxlib", *case.versions)},
        # Beyond the contract: for the reader of a single row.
        "threads": cores(),
        "difference": significant(error, 2),
        "repeats": repeats,
        "spread": [significant(float(np.std(t) / np.mean(t)), 2) for t in (ours, peer)],
    }
    if case.flop and jax.default_backend() != "cpu":
        rate = case.flop / median(ours)
        row["flop_per_second"] = significant(rate)
        row["share_of_peak"] = significant(rate / matmul_rate(case.dtype), 3)
    logging.info(
        "%s: %.4g images/s, %s %.4g: ratio %.3g (load %.1f)",
        case.what,
        row["ours"],
        case.peer_name,
        row["peer"],
        row["ratio"],
        os.getloadavg()[0],
    )
    return row


def alternate(
    ours: Callable[[], Any], peer: Callable[[], Any], repeats: int
) -> tuple[list[float], list[float]]:
    """Returns the seconds of a call, ours and the peer's, a sample of each in turn."""
    sides = (ours, peer)
    for side in sides:
        side()
    calls = [max(1, round(SAMPLE / seconds_of(side, 1))) for side in sides]
    samples: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for side, count, times in zip(sides, calls, samples, strict=True):
            time.sleep(PAUSE)
            times.append(seconds_of(side, count))
    return samples


def seconds_of(work: Callable[[], Any], calls: int) -> float:
    """Returns the mean seconds of a call."""
    began = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - began) / calls


@functools.cache
def matmul_rate(dtype: str, size: int = 8192, repeats: int = 5) -> float:
    """Returns the operations a second of a product of square matrices, the best of some samples.

    It stands for the peak of the device: nothing with so much arithmetic to each number is faster.
    """
    left, right = jax.random.normal(jax.random.key(0), (2, size, size), dtype)
    product = waiting(jnp.matmul, left, right)
    product()
    calls = max(1, round(SAMPLE / seconds_of(product, 3)))
    return 2 * size**3 / min(seconds_of(product, calls) for _ in range(repeats))


def waiting(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """Returns a call of `function`, jitted, that waits for its result; arrays go to the device."""
    compiled, placed = jax.jit(function), jax.device_put(arguments)
    return lambda: jax.block_until_ready(compiled(*placed))


def one_by_one(
    work: Callable[[Item], Any], items: Iterable[Item], threads: int
) -> Callable[[], list[Any]]:
    """Returns a call of `work` on each item, in as many threads: libraries for single images.

    Their inner loops let go of the interpreter's lock, so threads do help.
    """
    items = list(items)
    if threads == 1:
        return lambda: [work(item) for item in items]
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(work, items))


def largest_difference(ours: Any, peer: Any) -> float:
    """Returns the largest difference of two results, relative to the peer's largest value."""
    ours, peer = (np.asarray(x, np.float64).ravel() for x in (ours, peer))
    if ours.size != peer.size:
        raise ValueError(f"ours has {ours.size} values, the peer {peer.size}")
    if not np.abs(ours - peer).max():
        return 0.0  # also of zeros, such as the gradient by what nothing depends on
    return float(np.abs(ours - peer).max() / np.abs(peer).max())


def merged(old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns old rows and new ones in the order of their keys; of two with one key the new one."""
    rows = {tuple(row[part] for part in KEY): row for row in (*old, *new)}
    return [rows[key] for key in sorted(rows)]


def significant(value: float, digits: int = 4) -> float:
    """Returns a number rounded to so many significant digits."""
    return float(f"{value:.{digits}g}")
