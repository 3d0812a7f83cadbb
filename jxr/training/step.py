"""The one train step of the project: pure, for any task, on any number of devices.

A task is a pair of pure functions. Its loss is given *per example*, so that the step owns the mean,
and its randomness is keyed by step and example (`jxr.rng`), so that the result does not depend on
how a batch is spread over devices.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from jxr import rng

Params = Any  # a pytree of float32 arrays
Batch = Mapping[str, Array]


class Task(NamedTuple):
    """What is learnt.

    Attributes:
        init: key -> parameters.
        losses: (parameters, batch, key of this step) -> float32 losses, one an example. The batch
            has `example_id` (int32) and what the task reads.
    """

    init: Callable[[Key[Array, ""]], Params]
    losses: Callable[[Params, Batch, Key[Array, ""]], Float[Array, " batch"]]


class TrainState(NamedTuple):
    """Everything that changes in training, but for the data iterator.

    Attributes:
        step: Updates so far. Once the loss or the gradients of an update were not finite, it is
            negative, -1 less the updates before, and nothing is updated any more: the state stays
            what it was before the bad update.
        params: What is learnt.
        opt_state: Of the optimiser.
    """

    step: Int[Array, ""]
    params: Params
    opt_state: optax.OptState


class StepMetrics(NamedTuple):
    """What is known of one update: the mean loss of its batch, the gradient norm.

    Once a state is not updated any more, its loss is NaN.
    """

    loss: Float[Array, "*members"]
    gradient_norm: Float[Array, "*members"]


TrainStep = Callable[[TrainState, Batch, Key[Array, ""]], tuple[TrainState, StepMetrics]]


def init_state(
    task: Task, optimizer: optax.GradientTransformation, key: Key[Array, ""]
) -> TrainState:
    """Returns the state at step 0."""
    params = task.init(key)
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params))


def make_train_step(
    task: Task,
    optimizer: optax.GradientTransformation,
    *,
    axis_name: str | None = None,
    accumulate: int = 1,
) -> TrainStep:
    """Returns the pure step: (state, batch, dropout-and-noise key) -> (next state, metrics).

    Args:
        task: What is learnt.
        optimizer: Of optax.
        axis_name: The mapped axis over which losses and gradients are averaged, under pmap; None
            where the step sees the whole batch.
        accumulate: In how many equal parts the batch is computed, one after another: activations
            are kept of one part at a time, and the result is the same to rounding.
    """

    def train_step(
        state: TrainState, batch: Batch, key: Key[Array, ""]
    ) -> tuple[TrainState, StepMetrics]:
        step_key = rng.at_step(key, state.step)

        def mean_loss(params: Params, batch: Batch) -> Float[Array, ""]:
            return task.losses(params, batch, step_key).mean()

        def add(sums: Any, part: Batch) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, sums, loss_and_gradients(state.params, part)), None

        loss_and_gradients = jax.value_and_grad(mean_loss)
        if accumulate == 1:
            loss, gradients = loss_and_gradients(state.params, batch)
        else:
            zeros = jnp.zeros((), jnp.float32), jax.tree.map(jnp.zeros_like, state.params)
            sums, _ = jax.lax.scan(add, zeros, parts_of(batch, accumulate))
            loss, gradients = jax.tree.map(lambda leaf: leaf / accumulate, sums)
        if axis_name is not None:  # shards are equally large, so the mean of means is the mean
            loss, gradients = jax.lax.pmean((loss, gradients), axis_name)
        metrics = StepMetrics(jnp.where(state.step >= 0, loss, jnp.nan), length(gradients))
        sound = jnp.isfinite(metrics.loss) & jnp.isfinite(metrics.gradient_norm)
        # A branch: choosing number by number between old and new would keep XLA from updating the
        # state in its place, which doubles the time of a step that is bound by memory.
        return jax.lax.cond(sound, update, stop, gradients, state), metrics

    def update(gradients: Params, state: TrainState) -> TrainState:
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        return TrainState(state.step + 1, optax.apply_updates(state.params, updates), opt_state)

    def stop(_: Params, state: TrainState) -> TrainState:
        return state._replace(step=jnp.minimum(state.step, -1 - state.step))

    return train_step


def length(gradients: Params) -> Float[Array, ""]:
    """Returns the root of the sum of all squares.

    By columns, and not fused with what made the gradients: on a CPU, XLA would else sum one number
    after another, which takes as long as the rest of a step of a large dense layer.
    """
    leaves = jax.tree.leaves(jax.lax.optimization_barrier(gradients))
    columns = (jnp.sum(jnp.square(jnp.atleast_1d(leaf)), axis=0) for leaf in leaves)
    return jnp.sqrt(sum(jnp.sum(column) for column in columns))


def parts_of(batch: Batch, parts: int) -> Batch:
    """Returns the batch with a leading axis of equal parts; part `i` has examples i, i + parts, ...

    Interleaved, so that a batch that is spread over devices stays where it is: each part is made of
    as many examples of each device.
    """
    return {
        name: jnp.swapaxes(array.reshape(-1, parts, *array.shape[1:]), 0, 1)
        for name, array in batch.items()
    }
