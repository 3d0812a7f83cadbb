"""`metrics.jsonl`: one JSON object a line, and the progress of a run in the log."""

import json
import math
import os
import time
from pathlib import Path

import jax
import numpy as np
from absl import logging
from jaxtyping import Array, Float

from jxr.errors import UserError


class MetricsLog:
    """Mean losses of the steps between two lines; a context manager.

    A resumed run drops the lines past its step, for it will write them again.
    """

    def __init__(self, path: Path, start: int, steps: int, title: str):
        self._start, self._steps, self._title = start, steps, title
        self._losses: list[Array] = []
        self._began = time.monotonic()
        if path.exists():
            lines = path.read_text().splitlines()
            kept = [line for line in lines if step_of(line) <= start]
            if kept != lines:
                temporary = path.with_suffix(".tmp")
                temporary.write_text("".join(line + "\n" for line in kept))
                os.replace(temporary, path)
        self._file = path.open("a")

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, loss: Float[Array, "*devices"]) -> None:
        """Keeps the loss of one more step, without waiting for it; under pmap one a device."""
        self._losses.append(loss)

    def flush(self, step: int) -> None:
        """Writes the mean loss of the steps since the last line; nothing if there were none.

        Raises:
            UserError: one of the losses is not finite; its step is named.
        """
        if not self._losses:
            return
        values = np.array(jax.device_get(self._losses), np.float64)
        values = values.reshape(len(values), -1)[:, 0]  # the same on every device
        self._losses.clear()
        if not np.isfinite(values).all():
            first_bad = int(np.argmin(np.isfinite(values)))
            raise UserError(
                f"{self._title}: the loss is {values[first_bad]} at step"
                f" {step - len(values) + first_bad}: lower schedule.learning_rate, or look at the"
                " input images"
            )
        rate = (step - self._start) / (time.monotonic() - self._began)
        row = {"step": step, "loss": math.fsum(values) / len(values), "steps_per_second": rate}
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        logging.info(
            "%s: step %d of %d, loss %.6g, %.2f steps/s, %.0f s to go",
            self._title,
            step,
            self._steps,
            row["loss"],
            rate,
            (self._steps - step) / rate,
        )


def step_of(line: str) -> float:
    """Returns the step of a line of metrics, infinity for one that a crash cut off."""
    try:
        return float(json.loads(line)["step"])
    except (json.JSONDecodeError, KeyError):
        return math.inf
