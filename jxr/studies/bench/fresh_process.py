"""Measurements of memory, each in a process of its own: a peak is of a process."""

import multiprocessing
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any


def in_fresh_process(measure: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Returns what a function of a module returns when a new process calls it."""
    # Spawned, not forked: JAX's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measure, *arguments).result()


def peak_bytes() -> int:
    """Returns the most memory that this process has held so far.

    On Linux from its own status, for `getrusage` begins with the peak of the process that started
    this one; elsewhere (macOS) from `getrusage`, in bytes there.
    """
    status = Path("/proc/self/status")
    if sys.platform == "linux":
        (line,) = [x for x in status.read_text().splitlines() if x.startswith("VmHWM:")]
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
