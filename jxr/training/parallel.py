"""The pure train step on many devices: by jit and shardings, or by pmap.

Both compute the mean over the whole batch, and randomness follows the example (`jxr.rng`), so the
result is the same, to rounding, on any number of devices and either way. jit is the default: JAX
keeps pmap for older code only. By jit, the devices may be those of several processes.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Key

from jxr import rng
from jxr.training.observe import Compiled, compile_step
from jxr.training.step import Task, TrainState, init_state, make_train_step

Parallel = Literal["jit", "pmap"]
AXIS = "data"


class Program(NamedTuple):
    """A training as devices run it, and the ways there and back.

    Attributes:
        sharding: Of every array of a plain state: as it is made, saved and restored.
        init: The plain state at step 0; pure, to be jitted.
        key: Of everything random in a step.
        put_state: plain state -> state as the step takes it.
        get_state: state as the step returns it -> plain state.
        put_batch: batch on the host, its size a multiple of the devices -> batch for the step. Of
            several processes each gives its part.
        compile: (state, batch, key) or what has their shapes -> the step for such: (state, batch,
            key) -> (next state, metrics); the state given is used up.
    """

    sharding: NamedSharding
    init: Callable[[], TrainState]
    key: Any
    put_state: Callable[[TrainState], Any]
    get_state: Callable[[Any], TrainState]
    put_batch: Callable[[Mapping[str, np.ndarray]], Any]
    compile: Callable[[Any, Any, Any], Compiled]


def data_parallel(
    task: Task,
    optimizer: optax.GradientTransformation,
    seed: int,
    parallel: Parallel,
    accumulate: int = 1,
) -> Program:
    """Returns the training of one model, each batch spread over all devices.

    `accumulate` is as in `make_train_step`; every device's share of a batch divides by it.
    """
    mesh = Mesh(np.array(jax.devices()), (AXIS,))
    replicated = NamedSharding(mesh, PartitionSpec())

    def key(name: str) -> Key[Array, ""]:
        return rng.stream(jax.random.key(seed), name)

    common: dict[str, Any] = {
        "sharding": replicated,
        "init": lambda: init_state(task, optimizer, key("init")),
        # By jit, for device_put reaches the devices of this process only.
        "key": jax.jit(lambda: key("train"), out_shardings=replicated)(),
    }
    if parallel == "pmap":
        return Program(**common, **by_pmap(task, optimizer, accumulate, mesh.size, replicated))
    by_example = NamedSharding(mesh, PartitionSpec(AXIS))
    step = make_train_step(task, optimizer, accumulate=accumulate)
    return Program(
        **common,
        put_state=lambda state: state,
        get_state=lambda state: state,
        put_batch=lambda batch: jax.make_array_from_process_local_data(by_example, dict(batch)),
        compile=partial(compile_step, jax.jit(step, donate_argnums=0, out_shardings=replicated)),
    )


def by_pmap(
    task: Task,
    optimizer: optax.GradientTransformation,
    accumulate: int,
    devices: int,
    replicated: NamedSharding,
) -> dict[str, Any]:
    """Returns the step under pmap: arrays get a leading axis of devices, gradients are averaged."""
    step = jax.pmap(
        make_train_step(task, optimizer, axis_name=AXIS, accumulate=accumulate),
        axis_name=AXIS,
        in_axes=(0, 0, None),
        out_axes=(0, None),
        donate_argnums=0,
    )

    def stack(leaf: Any) -> np.ndarray:
        leaf = np.asarray(leaf)
        return np.broadcast_to(leaf, (devices, *leaf.shape))

    def shards(array: np.ndarray) -> np.ndarray:
        return array.reshape(devices, len(array) // devices, *array.shape[1:])

    return {
        "put_state": lambda state: jax.tree.map(stack, state),
        "get_state": lambda state: jax.device_put(
            jax.tree.map(lambda leaf: leaf[0], state), replicated
        ),
        "put_batch": lambda batch: {name: shards(array) for name, array in batch.items()},
        "compile": partial(compile_step, step),
    }


def on_first_device(state: Any) -> Any:
    """Returns a plain state on the first device of this process, which has a copy of all of it."""
    here = jax.local_devices()[0]
    return jax.tree.map(
        lambda leaf: jax.device_put(
            leaf if leaf.is_fully_addressable else leaf.addressable_data(0), here
        ),
        state,
    )
