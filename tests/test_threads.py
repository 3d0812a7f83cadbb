"""As many threads as the process may use, which can be fewer than the machine has."""

import os

from jxr.threads import cores


def test_cores_that_a_scheduler_allots(monkeypatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 7}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS
    assert cores() == 64
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1
