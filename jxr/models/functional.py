"""Splits an NNX model into a static graph and a plain tree of arrays, and calls it again."""

import hashlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Key

Params = dict[str, Any]  # nested: names of layers, then of parameters, down to arrays


def split(model: nnx.Module) -> tuple[nnx.GraphDef, Params]:
    """Splits `model` into its static graph and its parameters.

    The graph is hashable and holds no arrays. The parameters are nested dictionaries with string
    keys and arrays as leaves, so that jit, vmap, optax, Orbax and sharding need know nothing of
    NNX. Inside vmap over a key, return the parameters only: K models are one such tree with a
    leading axis of size K.
    """
    graphdef, state = nnx.split(model)
    return graphdef, nnx.to_pure_dict(state)


def abstract(build: Callable[[Key[Array, ""]], nnx.Module]) -> tuple[nnx.GraphDef, Params]:
    """Splits the model that `build` makes of a key, without making its numbers.

    Returns:
        The static graph, and the parameters as `jax.ShapeDtypeStruct`s.
    """
    return split(nnx.eval_shape(lambda: build(jax.random.key(0))))


def apply(graphdef: nnx.GraphDef, params: Params, *args: Any, **kwargs: Any) -> Any:
    """Calls the model with the given parameters; pure, for use inside jit, grad and vmap."""
    return nnx.merge(graphdef, params)(*args, **kwargs)


def apply_in(
    precision: str, graphdef: nnx.GraphDef, params: Params, *args: Any, **kwargs: Any
) -> Array:
    """Calls the model as `apply` does, with its kernels rounded to `precision`, a float dtype.

    What comes back is float32, and so are derivatives by float32 parameters.
    """
    return apply(graphdef, in_precision(precision, params), *args, **kwargs).astype(jnp.float32)


def in_precision(precision: str, params: Params) -> Params:
    """Rounds kernels to `precision`, so that the layers of `jxr.models.layers` compute in it.

    Parameters of one axis stay as they are.
    """
    return jax.tree.map(lambda leaf: leaf.astype(precision) if leaf.ndim > 1 else leaf, params)


def named_leaves(tree: Any) -> dict[str, Any]:
    """Returns path -> leaf of nested parameters, names joined by slashes, such as `down0/bias`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def params_fingerprint(params: Params) -> str:
    """Returns a SHA-256 of all parameters, by name, as little-endian float32 in C order."""
    digest = hashlib.sha256()
    for name, leaf in sorted(named_leaves(params).items()):
        digest.update(name.encode() + np.asarray(leaf, "<f4").tobytes())
    return digest.hexdigest()
