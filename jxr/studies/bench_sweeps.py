"""Cases of the benchmark: eight models as one stack beside the same eight one after another."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from jxr.config import BlurConfig, HeadConfig, ScheduleConfig, UNetConfig
from jxr.studies.bench_optics import chests
from jxr.studies.timing import Case, largest_difference
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


def sweep8_heads_cases(scale: str) -> Iterator[Case]:
    """A training step of eight heads on cached features."""
    width, hidden, batch = HEAD_SIZES[scale]
    members = MEMBERS[scale]
    generator = np.random.default_rng(0)
    config = HeadConfig(hidden=(hidden,), schedule=ScheduleConfig(batch_size=batch))
    arrays = {
        "features": generator.random((members, batch, width), np.float32),
        "label": generator.integers(0, 2, (members, batch)).astype(np.int32),
    }

    def task(_: Settings) -> Task:
        return classifier_task(config, width)

    mapped = best_mapping(convolutional=False)
    yield case("sweep8_heads", task, [task({})] * members, config.schedule, arrays, mapped)


def sweep8_restorers_cases(scale: str) -> Iterator[Case]:
    """A training step of eight U-Nets of different sigma: mapped as is best here, and otherwise."""
    size, batch, width, depth = UNET_SIZES[scale]
    sigmas = np.linspace(0.25, 2, MEMBERS[scale])
    config = UNetConfig(width=width, depth=depth, schedule=ScheduleConfig(batch_size=batch))
    images = np.stack([chests(batch, size)[..., None]] * len(sigmas))
    widest = BlurConfig(sigma=float(sigmas.max()))

    def task(setting: Settings) -> Task:
        return restorer_task(config, widest, setting["sigma"])

    singles = [restorer_task(config, BlurConfig(sigma=float(sigma))) for sigma in sigmas]
    best = best_mapping(convolutional=True)
    ways: list[Mapped] = ["vmap", "loop"]
    ways.sort(key=lambda one: one != best)
    # Compiling the worse way takes a minute on a CPU, even of a tiny network.
    for mapped in ways if scale == "full" else ways[:1]:
        yield case(
            "sweep8_restorers", task, singles, config.schedule, {"image": images}, mapped, sigmas
        )


def case(
    what: str,
    task_of: Callable[[Settings], Task],
    singles: list[Task],
    schedule: ScheduleConfig,
    arrays: dict[str, np.ndarray],
    mapped: Mapped,
    sigmas: Float[np.ndarray, " members"] | None = None,
) -> Case:
    """Returns the case of one stack: its step beside a step of each single run.

    Compared are losses and gradient norms of the first steps.
    """
    members, batch = len(singles), schedule.batch_size
    seeds = range(members)
    ids = np.tile(np.arange(batch, dtype=np.int32), (members, 1))
    arrays = arrays | {"example_id": ids}
    settings = {"learning_rate": np.full(members, schedule.learning_rate, np.float32)}
    if sigmas is not None:
        settings["sigma"] = sigmas.astype(np.float32)
    stack = sweep_program(task_of, settings, list(seeds), schedule, STEPS, mapped)
    optimizer = make_optimizer(schedule, STEPS)
    alone = [
        data_parallel(task, optimizer, seed, "jit")
        for task, seed in zip(singles, seeds, strict=True)
    ]
    together = stack.put_batch(arrays)
    apart = [
        one.put_batch({name: array[place] for name, array in arrays.items()})
        for place, one in enumerate(alone)
    ]
    state = jax.jit(stack.init, out_shardings=stack.sharding)()
    states = [jax.jit(one.init, out_shardings=one.sharding)() for one in alone]

    def ours() -> Any:
        nonlocal state
        state, metrics = stack.step(state, together, stack.key)
        return jax.block_until_ready(metrics)

    def peer() -> Any:
        measured = []
        for place, (one, its) in enumerate(zip(alone, apart, strict=True)):
            states[place], metrics = one.step(states[place], its, one.key)
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
        f"jxr, one after another; stacked by {mapped}",
        ours,
        peer,
        error,
        tolerance=1e-3 if jax.default_backend() == "cpu" else 2e-2,
        batch=members * batch,
        versions=(),
    )
