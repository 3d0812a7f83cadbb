"""Several processes that train one model together, once `jax.distributed` has joined them.

In one process, nothing of this waits or talks.
"""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

A_DAY, PATIENCE = 24 * 60 * 60 * 1000, 10 * 1000  # milliseconds

_barriers = itertools.count()  # every one needs a name of its own, the same on all processes


def this_part() -> tuple[int, int]:
    """Returns the number of this process and how many there are: which part of a batch is its."""
    return jax.process_index(), jax.process_count()


@contextmanager
def first_process_first() -> Iterator[None]:
    """Lets process 0 do the work inside before the others, who then find its files if they share.

    Every process has to come here, and leaves when all have done it or failed.
    """
    first = jax.process_index() == 0
    if not first:
        _wait_for_all()
    try:
        yield
    finally:
        if first:
            _wait_for_all()
        _wait_for_all()


def leave(status: int) -> None:
    """Ends this process now if the others do not fail as it did.

    Python's usual way out waits for them, and aborts after a while. Those who are left end with an
    error when they wait for this one, or miss its heartbeat.
    """
    if not jax.distributed.is_initialized():
        return
    try:
        ocp.multihost.get_barrier_sync_fn()(key="leave", timeout_ms=PATIENCE)
    except jax.errors.JaxRuntimeError:
        os._exit(status)


def _wait_for_all() -> None:
    # Not `sync_global_devices`, a collective of the devices: gloo's give up after half a minute.
    barrier = ocp.multihost.get_barrier_sync_fn()
    barrier(key=f"jxr-{next(_barriers)}", timeout_ms=A_DAY)


def agreed(signum: int) -> int:
    """Returns the highest number that a process came here with; waits for all of them."""
    return int(multihost_utils.process_allgather(np.int32(signum)).max())
