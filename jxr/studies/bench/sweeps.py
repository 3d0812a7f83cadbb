"""Cases of the benchmark: eight models as one stack beside the same eight one after another."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from jxr.config import BlurConfig, HeadConfig, ScheduleConfig, UNetConfig
from jxr.studies.bench.optics import chests
from jxr.studies.bench.timing import Case, largest_difference
from jxr.training.loop import make_optimizer
from jxr.training.parallel import data_parallel
from jxr.training.step import Task
from jxr.training.sweep import Mapped, Settings, best_mapping, sweep_program
from jxr.training.tasks import classifier_task, restorer_task

MEMBERS = {"full": 8, "tiny": 2}
COMPARED = 3  # steps
STEPS = 1000  # of the schedule; the cost of a step does not depend on it
# Features, hidden width and examples of a head; pixels, images, channels and poolings of a U-Net.
HEAD_SIZES = {"full": (25088, 256, 32), "tiny": (64, 8, 4)}
UNET_SIZES = {"full": (112, 8, 8, 3), "tiny": (32, 2, 2, 1)}


class Models(NamedTuple):
    """Models that train together, and a batch of examples for each.

    Attributes:
        task_of: from a setting to the task of a member of the stack.
        singles: the same tasks, each for itself.
        schedule: of all.
        arrays: the batches, stacked along a first axis.
        settings: what differs between the members.
        mapped: how they are stacked.
    """

    task_of: Callable[[Settings], Task]
    singles: list[Task]
    schedule: ScheduleConfig
    arrays: dict[str, np.ndarray]
    settings: dict[str, np.ndarray]
    mapped: Mapped


def heads(members: int, scale: str, mapped: Mapped) -> Models:
    """Heads on cached features, each with examples of its own."""
    width, hidden, batch = HEAD_SIZES[scale]
    generator = np.random.default_rng(0)
    config = HeadConfig(hidden=(hidden,), schedule=ScheduleConfig(batch_size=batch))
    arrays = {
        "features": generator.random((members, batch, width), np.float32),
        "label": generator.integers(0, 2, (members, batch)).astype(np.int32),
    }
    task = classifier_task(config, width)
    return models(lambda _: task, [task] * members, config.schedule, arrays, {}, mapped)


def restorers(members: int, scale: str, mapped: Mapped) -> Models:
    """U-Nets, each of a sigma of its own, on the same images.

    With noise, for a blur keeps the mean: without it some of the first gradients are nothing but
    rounding, of which Adam makes steps of full length, and no two programs agree for long.
    """
    size, batch, width, depth = UNET_SIZES[scale]
    sigmas = np.linspace(0.25, 2, members)
    config = UNetConfig(width=width, depth=depth, schedule=ScheduleConfig(batch_size=batch))
    images = np.stack([chests(batch, size)[..., None]] * members)
    widest = BlurConfig(sigma=float(sigmas.max()), noise=0.01)

    def task(setting: Settings) -> Task:
        return restorer_task(config, widest, setting["sigma"])

    blurs = [dataclasses.replace(widest, sigma=float(sigma)) for sigma in sigmas]
    singles = [restorer_task(config, blur) for blur in blurs]
    settings = {"sigma": sigmas.astype(np.float32)}
    return models(task, singles, config.schedule, {"image": images}, settings, mapped)


def models(
    task_of: Callable[[Settings], Task],
    singles: list[Task],
    schedule: ScheduleConfig,
    arrays: dict[str, np.ndarray],
    settings: dict[str, np.ndarray],
    mapped: Mapped,
) -> Models:
    """Adds what all models have: examples that are numbered, and a learning rate."""
    members = len(singles)
    arrays["example_id"] = np.tile(np.arange(schedule.batch_size, dtype=np.int32), (members, 1))
    settings["learning_rate"] = np.full(members, schedule.learning_rate, np.float32)
    return Models(task_of, singles, schedule, arrays, settings, mapped)


def stacked_step(work: Models) -> Callable[[], Any]:
    """Returns a call that trains the stack by one step, waits and returns its metrics."""
    seeds = list(range(len(work.singles)))
    stack = sweep_program(work.task_of, work.settings, seeds, work.schedule, STEPS, work.mapped)
    batches = stack.put_batch(work.arrays)
    state = stack.put_state(jax.jit(stack.init, out_shardings=stack.sharding)())
    update = stack.compile(state, batches, stack.key).call

    def step() -> Any:
        nonlocal state
        state, metrics = update(state, batches, stack.key)
        return jax.block_until_ready(metrics)

    return step


def sweep8_heads_cases(scale: str) -> Iterator[Case]:
    """A training step of eight heads on cached features: mapped as is best here, and otherwise."""
    for mapped in ways(scale):
        yield case("sweep8_heads", heads(MEMBERS[scale], scale, mapped))


def sweep8_restorers_cases(scale: str) -> Iterator[Case]:
    """A training step of eight U-Nets of different sigma, both ways as heads."""
    for mapped in ways(scale):
        yield case("sweep8_restorers", restorers(MEMBERS[scale], scale, mapped))


def ways(scale: str) -> list[Mapped]:
    """Returns the better way first; it alone of tiny networks, since compiling takes a minute."""
    best = best_mapping()
    others: list[Mapped] = ["loop" if best == "vmap" else "vmap"]
    return [best, *others] if scale == "full" else [best]


def case(what: str, work: Models) -> Case:
    """Returns the case of one stack: its step beside a step of each single run.

    Compared are losses and gradient norms of the first steps.
    """
    ours = stacked_step(work)
    optimizer = make_optimizer(work.schedule, STEPS)
    alone = [data_parallel(task, optimizer, seed, "jit") for seed, task in enumerate(work.singles)]
    apart = [
        one.put_batch({name: array[place] for name, array in work.arrays.items()})
        for place, one in enumerate(alone)
    ]
    states = [jax.jit(one.init, out_shardings=one.sharding)() for one in alone]
    updates = [
        one.compile(state, its, one.key).call
        for one, state, its in zip(alone, states, apart, strict=True)
    ]

    def peer() -> Any:
        measured = []
        for place, (update, one, its) in enumerate(zip(updates, alone, apart, strict=True)):
            states[place], metrics = update(states[place], its, one.key)
            measured.append(metrics)
        return jax.block_until_ready(measured)

    def error() -> float:
        pairs = []
        for _ in range(COMPARED):
            stacked, singly = ours(), peer()
            for name in ("loss", "gradient_norm"):
                alone_values = np.array([getattr(metrics, name) for metrics in singly])
                pairs.append(largest_difference(getattr(stacked, name), alone_values))
        return max(pairs)

    return Case(
        what,
        f"jxr, one after another; stacked by {work.mapped}",
        ours,
        peer,
        error,
        tolerance=1e-3 if jax.default_backend() == "cpu" else 2e-2,
        batch=len(work.singles) * work.schedule.batch_size,
        versions=(),
    )
