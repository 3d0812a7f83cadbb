"""The pure train step on many devices: by jit and shardings, or by pmap.

Both compute the mean over the whole batch, and randomness follows the example (`jxr.rng`), so the
result is the same, to rounding, on any number of devices and either way. jit is the default: JAX
keeps pmap for older code only.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Key

from jxr.training.step import Task, TrainState, make_train_step

Parallel = Literal["jit", "pmap"]
AXIS = "data"


class Spread(NamedTuple):
    """A train step on devices, and the ways there and back.

    Attributes:
        sharding: Of a plain state, whole on every device: as it is made, saved and restored.
        put_state: plain state -> state as `step` takes it.
        get_state: state as `step` returns it -> plain state.
        put_batch: batch on the host, its size a multiple of the devices -> batch for `step`.
        step: (state, batch, key) -> (next state, mean loss); the state given is used up.
    """

    sharding: NamedSharding
    put_state: Callable[[TrainState], TrainState]
    get_state: Callable[[TrainState], TrainState]
    put_batch: Callable[[Mapping[str, np.ndarray]], Any]
    step: Callable[[TrainState, Any, Key[Array, ""]], tuple[TrainState, Float[Array, "*_"]]]


def spread(task: Task, optimizer: optax.GradientTransformation, parallel: Parallel) -> Spread:
    """Returns the train step over all devices of the process."""
    mesh = Mesh(np.array(jax.devices()), (AXIS,))
    replicated = NamedSharding(mesh, PartitionSpec())
    if parallel == "pmap":
        return by_pmap(task, optimizer, mesh.size, replicated)
    by_example = NamedSharding(mesh, PartitionSpec(AXIS))
    step = jax.jit(make_train_step(task, optimizer), donate_argnums=0)
    return Spread(
        sharding=replicated,
        put_state=lambda state: state,
        get_state=lambda state: state,
        put_batch=lambda batch: jax.device_put(dict(batch), by_example),
        step=lambda state, batch, key: step(state, batch, jax.device_put(key, replicated)),
    )


def by_pmap(
    task: Task, optimizer: optax.GradientTransformation, devices: int, replicated: NamedSharding
) -> Spread:
    """Returns the step under pmap: arrays get a leading axis of devices, gradients are averaged."""
    step = jax.pmap(
        make_train_step(task, optimizer, axis_name=AXIS),
        axis_name=AXIS,
        in_axes=(0, 0, None),
        donate_argnums=0,
    )

    def stack(leaf: Any) -> np.ndarray:
        leaf = np.asarray(leaf)
        return np.broadcast_to(leaf, (devices, *leaf.shape))

    def shards(array: np.ndarray) -> np.ndarray:
        return array.reshape(devices, len(array) // devices, *array.shape[1:])

    return Spread(
        sharding=replicated,
        put_state=lambda state: jax.tree.map(stack, state),
        get_state=lambda state: jax.device_put(
            jax.tree.map(lambda leaf: leaf[0], state), replicated
        ),
        put_batch=lambda batch: {name: shards(array) for name, array in batch.items()},
        step=step,
    )
