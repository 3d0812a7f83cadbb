"""Named streams of random numbers: everything random in a run follows from its one seed.

A key is never split by position, so a draw depends on what it is for (`stream`), on the step
(`at_step`) and on the example (`per_example`), and on nothing else: not on the number of devices,
not on where an example lies in a batch, not on what was drawn before.
"""

import zlib

import jax
from jaxtyping import Array, Int, Key


def stream(key: Key[Array, ""], name: str) -> Key[Array, ""]:
    """Returns the key of the stream `name`, for example `'dropout'` or `'noise'`."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def at_step(key: Key[Array, ""], step: Int[Array, ""] | int) -> Key[Array, ""]:
    """Returns the stream's key at one training step; `step` may be traced."""
    return jax.random.fold_in(key, step)


def per_example(key: Key[Array, ""], example_ids: Int[Array, " batch"]) -> Key[Array, " batch"]:
    """Returns one key an example, that follows the example through any batch or shard."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, example_ids)
