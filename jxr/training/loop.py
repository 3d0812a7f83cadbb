"""The one training loop: evaluate nothing, hide nothing, resume exactly.

Each turn does, in this order: save if it is time, fetch the next batch, update. The save comes
before the fetch so that the saved iterator position is the one that the next update starts from;
this is what makes a resumed run equal to an uninterrupted one, bit for bit.
"""

import json
import math
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
import optax
from absl import logging
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array
from tqdm import tqdm

from jxr import rng
from jxr.config import ScheduleConfig
from jxr.errors import UserError
from jxr.training.checkpoints import Checkpoints
from jxr.training.step import Task, TrainState, init_state, make_train_step


class Stopped(Exception):
    """A signal asked the run to stop; its state is saved."""


@runtime_checkable
class Batches(Protocol):
    """What the loop needs of a data iterator, such as `jxr.data.batches`."""

    def __next__(self) -> Mapping[str, np.ndarray]:
        """Returns the next batch."""

    def get_state(self) -> Any:
        """Returns the position, JSON-able."""

    def set_state(self, state: Any) -> None:
        """Goes to a position."""


def fit(
    task: Task,
    batches: Batches,
    *,
    schedule: ScheduleConfig,
    steps: int,
    seed: int,
    directory: Path,
    title: str = "train",
) -> Any:
    """Trains to step `steps`, from the newest checkpoint in `directory` if there is one.

    Args:
        task: What is learnt.
        batches: Endless iterator of dict batches, as `jxr.data.batches` gives.
        schedule: Batch size, learning rate (Adam), and how often to log and save.
        steps: Updates in all, those before a resume included.
        seed: Of the initial weights, dropout and noise.
        directory: Gets `checkpoints/` and `metrics.jsonl`.
        title: Names the run in the progress display.

    Returns:
        The trained parameters, a pytree of float32 arrays on the default device.

    Raises:
        UserError: the batch does not divide by the devices; the checkpoint is of another model;
            the loss stopped being finite.
        Stopped: SIGTERM came; the state is saved.
    """
    optimizer = optax.adam(schedule.learning_rate)
    mesh = Mesh(np.array(jax.devices()), ("data",))
    replicated = NamedSharding(mesh, PartitionSpec())
    by_example = NamedSharding(mesh, PartitionSpec("data"))
    if schedule.batch_size % mesh.size:
        raise UserError(
            f"schedule.batch_size {schedule.batch_size} does not divide by the {mesh.size} devices:"
            " give a multiple"
        )
    key = jax.random.key(seed)
    run_key = jax.device_put(rng.stream(key, "train"), replicated)
    train_step = jax.jit(make_train_step(task, optimizer), donate_argnums=0)

    def init() -> TrainState:
        return init_state(task, optimizer, rng.stream(key, "init"))

    directory.mkdir(parents=True, exist_ok=True)
    stop = _StopRequest()
    with Checkpoints(directory / "checkpoints") as checkpoints, stop:
        start = 0
        if checkpoints.latest_step() is None:
            state = jax.jit(init, out_shardings=replicated)()
        else:
            # Only shapes: drawing initial values that are thrown away takes half a minute.
            template = jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=replicated),
                jax.eval_shape(init),
            )
            state, position = checkpoints.restore(template)
            batches.set_state(position)
            start = int(state.step)
            logging.info("%s: resumed at step %d of %d", title, start, steps)
        with (
            MetricsLog(directory / "metrics.jsonl", start) as metrics,
            tqdm(
                total=steps, initial=start, desc=title, unit="step", disable=not sys.stderr.isatty()
            ) as bar,
        ):
            losses: list[Array] = []
            for step in range(start, steps + 1):
                stopping = stop.requested  # read once: a signal may come at any moment
                due = step > start and step % schedule.checkpoint_every == 0
                if due or stopping or step == steps:
                    checkpoints.save(step, state, batches.get_state())
                if step == steps:
                    break
                if stopping:
                    raise Stopped(
                        f"{title}: stopped at step {step} of {steps}, saved; run again to go on"
                    )
                batch = jax.device_put(dict(next(batches)), by_example)
                state, loss = train_step(state, batch, run_key)
                losses.append(loss)
                bar.update()
                if (step + 1) % schedule.log_every == 0 or step + 1 == steps:
                    metrics.write(step + 1, losses, title, steps)
                    losses.clear()
    return jax.device_put(state.params, jax.devices()[0])


class _StopRequest:
    """Turns SIGTERM into a flag that the loop reads between steps."""

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None

    def __enter__(self) -> "_StopRequest":
        self._previous = signal.signal(signal.SIGTERM, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._previous)

    def _request(self, signum: int, frame: FrameType | None) -> None:
        self.requested = True


class MetricsLog:
    """`metrics.jsonl`: one JSON object a line; on resume, lines past the saved step are dropped."""

    def __init__(self, path: Path, start: int):
        kept = []
        if path.exists():
            kept = [line for line in path.read_text().splitlines() if _step_of(line) <= start]
        self._file = path.open("w")
        self._file.writelines(line + "\n" for line in kept)
        self._began = time.monotonic()
        self._start = start

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, step: int, losses: list[Array], title: str, steps: int) -> None:
        """Writes the mean loss of the steps since the last call.

        Raises:
            UserError: one of the losses is not finite; the steps are named.
        """
        values = np.array(jax.device_get(losses), np.float64)
        first = step - len(losses)
        if not np.isfinite(values).all():
            bad = first + int(np.argmin(np.isfinite(values)))
            raise UserError(
                f"{title}: the loss is {values[bad - first]} at step {bad}: lower"
                " schedule.learning_rate, or look at the input images"
            )
        rate = (step - self._start) / (time.monotonic() - self._began)
        row = {"step": step, "loss": math.fsum(values) / len(values), "steps_per_second": rate}
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        remaining = (steps - step) / rate
        logging.info(
            "%s: step %d of %d, loss %.6g, %.2f steps/s, %.0f s to go",
            title,
            step,
            steps,
            row["loss"],
            rate,
            remaining,
        )


def _step_of(line: str) -> float:
    """Returns the step of a line of metrics, infinity for one that a crash cut off."""
    try:
        return float(json.loads(line)["step"])
    except (json.JSONDecodeError, KeyError):
        return math.inf
