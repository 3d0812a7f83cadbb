"""The one training loop: evaluate nothing, hide nothing, resume exactly.

Each turn does, in this order: save if it is time, fetch the next batch, update. The save comes
before the fetch so that the saved iterator position is the one that the next update starts from;
this is what makes a resumed run equal to an uninterrupted one, bit for bit.
"""

import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
import optax
from absl import logging
from tqdm import tqdm

from jxr import rng
from jxr.config import ScheduleConfig
from jxr.errors import UserError
from jxr.training.checkpoints import Checkpoints
from jxr.training.metrics import MetricsLog
from jxr.training.parallel import Parallel, spread
from jxr.training.step import Task, TrainState, init_state


class Stopped(Exception):
    """A signal asked the run to stop, and its state is saved: no error.

    Attributes:
        signum: the number of the signal.
    """

    def __init__(self, message: str, signum: int):
        super().__init__(message)
        self.signum = signum


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
    parallel: Parallel = "jit",
) -> Any:
    """Trains to step `steps`, from the newest checkpoint in `directory` if there is one.

    Args:
        task: What is learnt.
        batches: Endless iterator of dict batches, as `jxr.data.batches` gives.
        schedule: Batch size, learning rate, and how often to log and save.
        steps: Updates in all, those before a resume included.
        seed: Of the initial weights, dropout and noise.
        directory: Gets `checkpoints/` and `metrics.jsonl`.
        title: Names the run in the progress display.
        parallel: How the step is spread over devices; checkpoints are the same either way.

    Returns:
        The trained parameters, a pytree of float32 arrays on the default device.

    Raises:
        UserError: the batch does not divide by the devices; the checkpoint is of another model;
            the loss stopped being finite.
        Stopped: SIGTERM or SIGINT came; the state is saved.
    """
    if steps < 1:
        raise UserError(
            f"{title}: not one step: lower schedule.batch_size {schedule.batch_size}, or raise"
            " schedule.epochs"
        )
    optimizer = make_optimizer(schedule, steps)
    if schedule.batch_size % jax.device_count():
        raise UserError(
            f"schedule.batch_size {schedule.batch_size} does not divide by the"
            f" {jax.device_count()} devices: give a multiple"
        )
    on_devices = spread(task, optimizer, parallel)
    key = jax.random.key(seed)
    run_key = rng.stream(key, "train")

    def init() -> TrainState:
        return init_state(task, optimizer, rng.stream(key, "init"))

    directory.mkdir(parents=True, exist_ok=True)
    stop = _StopRequest()
    # The signals stay caught until the last save is on disk.
    with stop, Checkpoints(directory / "checkpoints") as checkpoints:
        start = 0
        if checkpoints.latest_step() is None:
            plain = jax.jit(init, out_shardings=on_devices.sharding)()
        else:
            # Only shapes: drawing initial values that are thrown away takes half a minute.
            template = jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(
                    leaf.shape, leaf.dtype, sharding=on_devices.sharding
                ),
                jax.eval_shape(init),
            )
            plain, position = checkpoints.restore(template)
            batches.set_state(position)
            start = int(plain.step)
            logging.info("%s: resumed at step %d of %d", title, start, steps)
        state = on_devices.put_state(plain)
        del plain
        with (
            MetricsLog(directory / "metrics.jsonl", start, steps, title) as metrics,
            tqdm(
                total=steps, initial=start, desc=title, unit="step", disable=not sys.stderr.isatty()
            ) as bar,
        ):
            for step in range(start, steps + 1):
                stopping = stop.requested  # read once: a signal may come at any moment
                due = step > start and step % schedule.checkpoint_every == 0
                if due or stopping or step == steps:
                    metrics.flush(step)  # before the save: a loss gone wrong is not saved
                    checkpoints.save(step, on_devices.get_state(state), batches.get_state())
                if stopping:
                    raise Stopped(
                        f"{title}: stopped at step {step} of {steps}, saved; run again to go on",
                        stopping,
                    )
                if step == steps:
                    break
                batch = on_devices.put_batch(next(batches))
                state, loss = on_devices.step(state, batch, run_key)
                metrics.add(loss)
                bar.update()
                if (step + 1) % schedule.log_every == 0:
                    metrics.flush(step + 1)
    if stop.requested:  # during the last save
        raise Stopped(f"{title}: finished and saved; run again to go on", stop.requested)
    return jax.device_put(on_devices.get_state(state).params, jax.devices()[0])


def make_optimizer(schedule: ScheduleConfig, steps: int) -> optax.GradientTransformation:
    """Returns Adam as the schedule wants it, for a run of so many steps."""
    rate: float | optax.Schedule = schedule.learning_rate
    if schedule.decay == "cosine":
        rate = optax.cosine_decay_schedule(schedule.learning_rate, steps)
    adam = optax.adam(rate)
    if schedule.clip_norm:
        return optax.chain(optax.clip_by_global_norm(schedule.clip_norm), adam)
    return adam


class _StopRequest:
    """Turns SIGTERM and SIGINT into a flag that the loop reads between steps."""

    def __init__(self) -> None:
        self.requested = 0  # the number of the signal
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "_StopRequest":
        for signum in (signal.SIGTERM, signal.SIGINT):
            self._previous[signum] = signal.signal(signum, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    def _request(self, signum: int, frame: FrameType | None) -> None:
        self.requested = signum
