"""The one training loop: evaluate nothing, hide nothing, resume exactly.

Each turn does, in this order: save if it is time, fetch the next batch, update. The save comes
before the fetch so that the saved iterator position is the one that the next update starts from;
this is what makes a resumed run equal to an uninterrupted one, bit for bit.
"""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import logging
from jaxtyping import Array, Float
from tqdm import tqdm

from jxr.config import ScheduleConfig
from jxr.errors import UserError
from jxr.files import training_lock
from jxr.training.checkpoints import Checkpoints
from jxr.training.launch import PLAIN, Launch
from jxr.training.metrics import MetricsLog, NotFinite
from jxr.training.observe import Trace, memory_explained
from jxr.training.parallel import Program, data_parallel, on_first_device
from jxr.training.processes import agreed
from jxr.training.step import Task, TrainState
from jxr.training.stopping import Stopped, StopRequest


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
    launch: Launch = PLAIN,
) -> Any:
    """Trains one model to step `steps`, from the newest checkpoint in `directory` if there is one.

    Args:
        task: What is learnt.
        batches: Endless iterator of dict batches, as `jxr.data.batches` gives.
        schedule: Batch size, learning rate, and how often to log and save.
        steps: Updates in all, those before a resume included.
        seed: Of the initial weights, dropout and noise.
        directory: Gets `checkpoints/` and `metrics.jsonl`; several processes share it.
        title: Names the run in the progress display.
        launch: How it is launched.

    Returns:
        The trained parameters, a pytree of float32 arrays on the default device.

    Raises:
        UserError: the batch does not divide by the devices; the checkpoint is of another model;
            the loss or the gradients stopped being finite; the device's memory does not suffice.
        Stopped: SIGTERM or SIGINT came; the state is saved. Of several processes one signal to one
            of them stops all, when the next line is logged.
    """
    devices, accumulate = jax.device_count(), schedule.accumulate
    if schedule.batch_size % (devices * accumulate):
        times = f" times schedule.accumulate {accumulate}" if accumulate > 1 else ""
        raise UserError(
            f"schedule.batch_size {schedule.batch_size} does not divide by the {devices}"
            f" devices{times}: give a multiple"
        )
    optimizer = make_optimizer(schedule, steps)
    program = data_parallel(task, optimizer, seed, launch.parallel, accumulate)
    state = run(
        program,
        batches,
        schedule=schedule,
        steps=steps,
        directory=directory,
        title=title,
        launch=launch,
    )
    return state.params


def run(
    program: Program,
    batches: Batches,
    *,
    schedule: ScheduleConfig,
    steps: int,
    directory: Path,
    title: str,
    launch: Launch,
    members: Sequence[str] = (),
) -> TrainState:
    """Runs a program as `fit` says, or that of a sweep with these members.

    Returns:
        The state at the last step, on the default device.
    """
    if steps < 1:
        raise UserError(
            f"{title}: not one step: lower schedule.batch_size {schedule.batch_size}, or raise"
            " schedule.epochs"
        )
    directory.mkdir(parents=True, exist_ok=True)
    first, alone = jax.process_index() == 0, jax.process_count() == 1
    stop = StopRequest()
    # The signals stay caught until the last save is on disk.
    with (
        # Processes of one run write together.
        training_lock(directory) if first else nullcontext(),
        stop,
        Checkpoints(directory / "checkpoints") as checkpoints,
        memory_explained(title),
    ):
        start, plain = _start(program, checkpoints, batches)
        if start > steps:
            raise UserError(
                f"{title}: trained to step {start} already, past the last one, {steps}: raise"
                " schedule.epochs, or give another --workdir"
            )
        if start:
            logging.info("%s: resumed at step %d of %d", title, start, steps)
        state = program.put_state(plain)
        del plain
        quiet = not (sys.stderr.isatty() and first)
        with (
            MetricsLog(
                directory / "metrics.jsonl" if first else Path(os.devnull),
                start,
                steps,
                title,
                batch_size=schedule.batch_size * max(1, len(members)),
                members=members,
                tensorboard=directory / "tensorboard" if launch.tensorboard and first else None,
            ) as metrics,
            Trace(directory / "profile" if launch.profile and first else None, start) as trace,
            tqdm(total=steps, initial=start, desc=title, unit="step", disable=quiet) as bar,
        ):
            update = None
            for step in range(start, steps + 1):
                stopping = 0
                if alone or step % schedule.log_every == 0:  # processes agree: they stop together
                    stopping = agreed(stop.requested)  # once: a signal may come at any moment
                due = step > start and step % schedule.checkpoint_every == 0
                try:
                    if due or stopping or step == steps:
                        metrics.flush(step)  # before the save: a loss gone wrong is not saved
                        checkpoints.save(step, program.get_state(state), batches.get_state())
                    elif step > start and step % schedule.log_every == 0:
                        metrics.flush(step)
                except NotFinite as error:
                    kept = save_debug_state(directory, program.get_state(state), error.step)
                    raise UserError(f"{error}; the state before is in {kept}") from error
                if stopping:
                    checkpoints.wait()  # before it is said to be saved
                    raise Stopped(
                        f"{title}: stopped at step {step} of {steps}, saved; run again to go on",
                        stopping,
                    )
                if step == steps:
                    break
                trace.at(step, state)
                with metrics.waiting():
                    batch = program.put_batch(next(batches))
                if update is None:
                    update, seconds, flop = program.compile(state, batch, program.key)
                    metrics.compiled(seconds, flop)
                state, measured = update(state, batch, program.key)
                metrics.add(measured)
                bar.update()
    if stopping := agreed(stop.requested):  # during the last save
        raise Stopped(f"{title}: finished and saved; run again to go on", stopping)
    return on_first_device(program.get_state(state))


def _start(program: Program, checkpoints: Checkpoints, batches: Batches) -> tuple[int, TrainState]:
    """Returns the step to start at and the state there; `batches` is moved to its place."""
    if checkpoints.latest_step() is None:
        return 0, jax.jit(program.init, out_shardings=program.sharding)()
    # Only shapes: drawing initial values that are thrown away takes half a minute.
    template = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=program.sharding),
        jax.eval_shape(program.init),
    )
    step, state, position = checkpoints.restore(template)
    batches.set_state(position)
    return step, state


def save_debug_state(directory: Path, state: TrainState, step: int) -> Path:
    """Saves the state before a bad step as a checkpoint of its own; returns where."""
    folder = directory / "debug"
    state = state._replace(step=jnp.maximum(state.step, -1 - state.step))  # see `TrainState`
    if jax.process_index() == 0:
        shutil.rmtree(folder, ignore_errors=True)
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(step, state, {"bad_step": step})
    return folder


def make_optimizer(
    schedule: ScheduleConfig, steps: int, learning_rate: Float[Array, ""] | None = None
) -> optax.GradientTransformation:
    """Returns Adam as the schedule wants it, for a run of so many steps.

    Args:
        schedule: Its learning rate, decay and longest gradient count.
        steps: Updates in all.
        learning_rate: Instead of the schedule's; may be traced.
    """
    rate: Any = schedule.learning_rate if learning_rate is None else learning_rate
    adam = optax.adam(
        optax.cosine_decay_schedule(rate, steps) if schedule.decay == "cosine" else rate
    )
    if schedule.clip_norm:
        return optax.chain(optax.clip_by_global_norm(schedule.clip_norm), adam)
    return adam
