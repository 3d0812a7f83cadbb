"""Splits an NNX model into a static graph and a plain tree of arrays, and calls it again."""

from typing import Any

from flax import nnx

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


def apply(graphdef: nnx.GraphDef, params: Params, *args: Any, **kwargs: Any) -> Any:
    """Calls the model with the given parameters; pure, for use inside jit, grad and vmap."""
    return nnx.merge(graphdef, params)(*args, **kwargs)
