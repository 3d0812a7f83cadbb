"""K models of one kind, trained as one run: all at once on accelerators, in turn on a CPU.

The members differ in their seed, their data, their learning rate and any other number that their
task takes. Each is trained as it would be alone, to rounding. They share the schedule, the
checkpoints and the compiled step; accelerators map it over a stacked state, spread along the stack.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float, Key

from jxr import rng
from jxr.config import ScheduleConfig
from jxr.errors import UserError
from jxr.training.launch import PLAIN, Launch
from jxr.training.loop import Batches, make_optimizer, run
from jxr.training.observe import Compiled, compile_step
from jxr.training.parallel import Program
from jxr.training.step import Params, Task, TrainState, init_state, make_train_step

AXIS = "member"

# How a program goes over the members of a device: all at once, or one after another.
Mapped = Literal["vmap", "loop"]
# What a task is told of its member, such as sigma; scalars, traced.
Settings = Mapping[str, Float[Array, ""]]


class Trained(NamedTuple):
    """The members of a sweep.

    Attributes:
        params: Every leaf with a leading axis of members.
        sound: Of each member whether it was trained to the end; one that diverged has the
            parameters from before its first update that was not finite.
    """

    params: Params
    sound: Bool[np.ndarray, " members"]


def fit_sweep(
    task_of: Callable[[Settings], Task],
    batches: Sequence[Batches],
    *,
    settings: Mapping[str, Float[np.ndarray, " members"]],
    seeds: Sequence[int],
    names: Sequence[str],
    schedule: ScheduleConfig,
    steps: int,
    directory: Path,
    title: str = "sweep",
    launch: Launch = PLAIN,
    mapped: Mapped | None = None,
) -> Trained:
    """Trains all members to step `steps`, from the newest checkpoint in `directory` if any.

    A member whose loss or gradients are not finite is reported and trained no further; the others
    go on.

    Args:
        task_of: What is learnt, given a member's settings without `learning_rate`. All members have
            parameters of the same shapes.
        batches: One iterator a member, each as for `fit`.
        settings: Of each member: `learning_rate`, and what `task_of` takes.
        seeds: Of each member's initial weights, dropout and noise.
        names: Of the members, in logs and metrics.
        schedule: As for `fit`, but for its learning rate; the batch size is that of a member.
        steps: Updates in all, those before a resume included.
        directory: Gets `checkpoints/` and `metrics.jsonl`.
        title: Names the sweep in the progress display.
        launch: How it is launched; only by jit.
        mapped: How it goes over the members; by default as `best_mapping` says.

    Raises:
        UserError: see `fit`; or every member diverged.
        Stopped: SIGTERM or SIGINT came; the state is saved.
    """
    if launch.parallel != "jit":
        raise UserError(f"{title}: a sweep is spread over devices by jit: leave --parallel out")
    program = sweep_program(task_of, settings, seeds, schedule, steps, mapped or best_mapping())
    state = run(
        program,
        _Joined(batches),
        schedule=schedule,
        steps=steps,
        directory=directory,
        title=title,
        launch=launch,
        members=names,
    )
    return Trained(state.params, np.asarray(state.step) >= 0)


def best_mapping() -> Mapped:
    """Returns the faster way over the members of a device.

    On a CPU it is one after another: a convolution whose kernels differ between members becomes a
    grouped one, which XLA runs several times slower there, and the guard against bad updates
    becomes a choice number by number, which is no way to update a large state in its place.
    Accelerators run all members at once best.
    """
    return "loop" if jax.default_backend() == "cpu" else "vmap"


def sweep_program(
    task_of: Callable[[Settings], Task],
    settings: Mapping[str, Float[np.ndarray, " members"]],
    seeds: Sequence[int],
    schedule: ScheduleConfig,
    steps: int,
    mapped: Mapped,
) -> Program:
    """Returns the training of all members.

    By vmap each device has equally many of them. By loop the first device has all, and one compiled
    step is called for each: state and batch are lists of theirs, not stacked, and each state is
    updated in its place.
    """
    devices = used_devices(len(seeds)) if mapped == "vmap" else 1
    mesh = Mesh(np.array(jax.devices()[:devices]), (AXIS,))
    by_member = NamedSharding(mesh, PartitionSpec(AXIS))
    replicated = NamedSharding(mesh, PartitionSpec())

    def parts(setting: Settings) -> tuple[Task, optax.GradientTransformation]:
        others = {name: value for name, value in setting.items() if name != "learning_rate"}
        return task_of(others), make_optimizer(schedule, steps, setting["learning_rate"])

    def init_member(setting: Settings, key: Key[Array, ""]) -> TrainState:
        return init_state(*parts(setting), rng.stream(key, "init"))

    def step_member(setting: Settings, state: TrainState, batch: Any, key: Key[Array, ""]) -> Any:
        one = make_train_step(*parts(setting), accumulate=schedule.accumulate)
        return one(state, batch, key)

    def step_stack(state: TrainState, batch: Any, key: Key[Array, " members"]) -> Any:
        return spread(jax.vmap(step_member))(everyone, state, batch, key)

    def compile_each(states: Any, batches: Any, keys: Any) -> Compiled:
        each = unstack(everyone)
        step = jax.jit(step_member, donate_argnums=1, out_shardings=replicated)
        one = compile_step(step, each[0], states[0], batches[0], keys[0])

        def step_each(states: list[Any], batches: list[Any], keys: list[Any]) -> Any:
            members = zip(each, states, batches, keys, strict=True)
            results = [one.call(*member) for member in members]
            return [state for state, _ in results], stack([metrics for _, metrics in results])

        return Compiled(step_each, one.seconds, one.flop * len(seeds))

    everyone = {name: jnp.asarray(values, jnp.float32) for name, values in settings.items()}
    keys = jax.vmap(jax.random.key)(np.asarray(seeds, np.uint32))
    # By shard_map, for there is nothing that one member's device need ask another's.
    spec = PartitionSpec(AXIS)
    spread = partial(jax.shard_map, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    train_keys = jax.vmap(lambda key: rng.stream(key, "train"))(keys)
    init = lambda: spread(jax.vmap(init_member))(everyone, keys)  # noqa: E731
    if mapped == "loop":
        return Program(
            sharding=by_member,
            init=init,
            key=jax.device_put(unstack(train_keys), replicated),
            put_state=lambda state: jax.device_put(unstack(state), replicated),
            get_state=stack,
            put_batch=lambda batch: jax.device_put(unstack(dict(batch)), replicated),
            compile=compile_each,
        )
    return Program(
        sharding=by_member,
        init=init,
        key=jax.device_put(train_keys, by_member),
        put_state=lambda state: state,
        get_state=lambda state: state,
        put_batch=lambda batch: jax.device_put(dict(batch), by_member),
        compile=partial(
            compile_step, jax.jit(step_stack, donate_argnums=0, out_shardings=by_member)
        ),
    )


def mapping(mapped: Mapped) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Returns `jax.vmap`, or what computes the same for one member after another.

    That one writes the members out: convolutions within a loop of XLA's own (`jax.lax.map`) were
    seen to run seven times slower on a CPU than outside of one.
    """
    if mapped == "vmap":
        return jax.vmap
    return lambda function: lambda *stacked: stack([function(*one) for one in unstack(stacked)])


def stack(members: Sequence[Any]) -> Any:
    """Returns one tree, every leaf with a leading axis of members."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)


def unstack(stacked: Any) -> list[Any]:
    """Returns the trees of which `stack` makes this one."""
    count = len(jax.tree.leaves(stacked)[0])
    return [jax.tree.map(itemgetter(place), stacked) for place in range(count)]


def used_devices(members: int) -> int:
    """Returns the largest number of devices that has equally many of so many members each."""
    return max(n for n in range(1, jax.device_count() + 1) if members % n == 0)


class _Joined:
    """Iterators of alike batches as one: arrays get a leading axis, positions become a list."""

    def __init__(self, iterators: Sequence[Batches]):
        self._iterators = iterators

    def __next__(self) -> dict[str, np.ndarray]:
        found = [next(iterator) for iterator in self._iterators]
        return {name: np.stack([batch[name] for batch in found]) for name in found[0]}

    def get_state(self) -> list[Any]:
        return [iterator.get_state() for iterator in self._iterators]

    def set_state(self, state: list[Any]) -> None:
        for iterator, position in zip(self._iterators, state, strict=True):
            iterator.set_state(position)
