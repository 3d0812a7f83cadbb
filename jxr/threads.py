"""How many threads are worth starting."""

import os


def cores() -> int:
    """Returns on how many cores this process may run, which a scheduler can limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
