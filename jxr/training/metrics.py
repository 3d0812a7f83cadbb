"""`metrics.jsonl`: one JSON object a line, and the progress of a run in the log."""

import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import logging
from jaxtyping import Bool, Float64

from jxr.files import written
from jxr.training.events import event_writer, write_events
from jxr.training.step import StepMetrics

# So many times its lowest, a loss tells of a network that has lost what it had learnt.
BROKEN_DOWN = 100


class NotFinite(Exception):
    """The loss or the gradients of a step were not finite.

    Attributes:
        step: the first such step, from 0 on; the state is still what it was before.
    """

    def __init__(self, message: str, step: int):
        super().__init__(message)
        self.step = step


class MetricsLog:
    """Means over the steps between two lines; a context manager.

    A line has `step`, `loss` and `gradient_norm` (means; of a sweep lists, one number a member,
    null for one that diverged), `steps_per_second` and `examples_per_second` since the run began
    or was resumed, compilation apart, and `input_wait`, the share of the time that went into
    waiting for batches. The first line has `compile_seconds` and `flop_per_step` as well.

    A resumed run drops the lines past its step, for it will write them again.
    """

    def __init__(
        self,
        path: Path,
        start: int,
        steps: int,
        title: str,
        *,
        batch_size: int,
        members: Sequence[str] = (),
        tensorboard: Path | None = None,
    ):
        """Opens the log.

        Args:
            path: Of `metrics.jsonl`.
            start: Step that the run starts at.
            steps: Steps in all.
            title: Names the run in the log.
            batch_size: Examples a step.
            members: Their names, if this is a sweep.
            tensorboard: Folder that gets the same numbers as an event file; None: none.

        Raises:
            UserError: tensorboardX is wanted and not installed.
        """
        self._start, self._steps, self._title = start, steps, title
        self._batch_size, self._members = batch_size, members
        self._pending: list[StepMetrics] = []
        self._once: dict[str, Any] = {}
        self._diverged: set[str] = set()
        self._broken_down: set[str] = set()
        self._lowest: dict[str, tuple[float, int]] = {}
        self._waited = 0.0
        self._began = time.monotonic()
        if path.exists():
            text = path.read_text()
            lines = [line + "\n" for line in text.splitlines() if step_of(line) <= start]
            if (kept := "".join(lines)) != text:
                temporary = path.with_suffix(".tmp")
                with written(temporary):
                    temporary.write_text(kept)
                os.replace(temporary, path)
            for row in map(json.loads, lines):
                self._watch(self._losses(row), row["step"])
        self._events = event_writer(tensorboard, start) if tensorboard else None
        self._path = path
        self._file = path.open("a")

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *_: object) -> None:
        with written(self._path):
            self._file.close()
        if self._events:
            self._events.close()

    def compiled(self, seconds: float, flop: int) -> None:
        """Notes what compiling took and what a step costs; the clock of the rates starts here."""
        logging.info("%s: compiled in %.1f s, %.3g GFLOP a step", self._title, seconds, flop / 1e9)
        self._once = {"compile_seconds": round(seconds, 3), "flop_per_step": flop}
        self._waited = 0.0
        self._began = time.monotonic()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Counts the time spent inside as waiting for a batch."""
        began = time.monotonic()
        yield
        self._waited += time.monotonic() - began

    def add(self, metrics: StepMetrics) -> None:
        """Keeps the metrics of one more step, without waiting for them."""
        self._pending.append(metrics)

    def flush(self, step: int) -> None:
        """Writes the means of the steps since the last line; nothing if there were none.

        Raises:
            NotFinite: the loss or the gradients of some steps were not finite; in a sweep, of all
                members.
        """
        if not self._pending:
            return
        first = step - len(self._pending)
        loss, norm = (
            np.array(values, np.float64).reshape(len(values), -1)  # (steps, members)
            for values in zip(*jax.device_get(self._pending), strict=True)
        )
        self._pending.clear()
        sound = np.isfinite(loss) & np.isfinite(norm)
        self._check(sound, loss, first)
        elapsed = time.monotonic() - self._began
        rate = (step - self._start) / elapsed
        row = {
            "step": step,
            "loss": self._means(loss, sound),
            "gradient_norm": self._means(norm, sound),
            "steps_per_second": rate,
            "examples_per_second": rate * self._batch_size,
            "input_wait": self._waited / elapsed,
            **self._once,
        }
        self._once = {}
        with written(self._path):
            self._file.write(json.dumps(row, allow_nan=False) + "\n")
            self._file.flush()
        if self._events:
            write_events(self._events, row, self._members)
        losses = self._losses(row)
        self._watch(losses, step)
        logging.info(
            "%s: step %d of %d, loss %s, %.2f steps/s, %.0f s to go",
            self._title,
            step,
            self._steps,
            " ".join("diverged" if value is None else f"{value:.6g}" for value in losses),
            rate,
            (self._steps - step) / rate,
        )

    def _losses(self, row: dict[str, Any]) -> list[float | None]:
        """Returns the loss of each member, or the only one."""
        return row["loss"] if self._members else [row["loss"]]

    def _watch(self, losses: Sequence[float | None], step: int) -> None:
        """Warns once of each member whose loss went far beyond its lowest, finite as it is."""
        for name, loss in zip(self._members or [self._title], losses, strict=True):
            if loss is None:
                continue
            lowest, at = self._lowest.setdefault(name, (loss, step))
            if loss < lowest:
                self._lowest[name] = loss, step
            if loss > BROKEN_DOWN * lowest > 0 and name not in self._broken_down:
                self._broken_down.add(name)
                logging.warning(
                    "%s broke down: loss %.3g at step %d, after %.3g at step %d: lower"
                    " schedule.learning_rate, or set schedule.clip_norm or schedule.decay",
                    f"{self._title}: {name}" if self._members else self._title,
                    loss,
                    step,
                    lowest,
                    at,
                )

    def _means(
        self, values: Float64[np.ndarray, "steps members"], sound: Bool[np.ndarray, "steps members"]
    ) -> Any:
        """Returns the mean over steps, of each member if this is a sweep."""
        means = [
            math.fsum(column) / len(column) if all_sound else None
            for column, all_sound in zip(values.T, np.all(sound, axis=0), strict=True)
        ]
        return means if self._members else means[0]

    def _check(
        self,
        sound: Bool[np.ndarray, "steps members"],
        loss: Float64[np.ndarray, "steps members"],
        first: int,
    ) -> None:
        """Warns once of each member that is not updated any more; raises if none is left."""
        for place, name in enumerate(self._members or [self._title]):
            if sound[:, place].all() or name in self._diverged:
                continue
            self._diverged.add(name)
            row = int(np.argmin(sound[:, place]))
            value = loss[row, place]
            what = "the gradients are not finite" if np.isfinite(value) else f"the loss is {value}"
            message = f"{what} at step {first + row}"
            if len(self._diverged) == max(1, len(self._members)):
                last = f" {name}, the last of the sweep," if self._members else ""
                raise NotFinite(
                    f"{self._title}:{last} {message}: lower schedule.learning_rate, or look at the"
                    " input images",
                    first + row,
                )
            logging.warning("%s: %s diverged and learns no more: %s", self._title, name, message)


def step_of(line: str) -> float:
    """Returns the step of a line of metrics, infinity for one that a crash cut off."""
    try:
        return float(json.loads(line)["step"])
    except (json.JSONDecodeError, KeyError):
        return math.inf
