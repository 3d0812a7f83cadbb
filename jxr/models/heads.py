"""The dense classifier that is trained on top of VGG-16's features."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from jxr.models.layers import Linear


class Head(nnx.Module):
    """Dense layers with ReLU and dropout, then one dense layer to the logits.

    Glorot-uniform kernels and zero biases. The defaults are the report's size of problem:
    25,088 features of a 224x224 image and two classes.
    """

    def __init__(
        self,
        in_features: int = 25088,
        hidden: Sequence[int] = (256,),
        classes: int = 2,
        dropout: float = 0.5,
        *,
        rngs: nnx.Rngs,
    ):
        check_dropout(dropout)
        self.dropout = dropout
        self.depth = len(hidden)
        for i, (n_in, n_out) in enumerate(zip((in_features, *hidden), hidden, strict=False)):
            setattr(self, f"hidden{i}", dense(n_in, n_out, rngs))
        self.logits = dense((in_features, *hidden)[-1], classes, rngs)

    def __call__(
        self,
        features: Float[Array, "batch features"],
        *,
        dropout_keys: Key[Array, " batch"] | None = None,
    ) -> Float[Array, "batch classes"]:
        """Returns the logits.

        Args:
            features: one row an example.
            dropout_keys: one key an example (`jxr.rng.per_example`), or None for no dropout.
        """
        x = features
        for i in range(self.depth):
            x = nnx.relu(getattr(self, f"hidden{i}")(x))
            if dropout_keys is not None:
                keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(dropout_keys, i)
                x = dropout(x, keys, self.dropout)
        return self.logits(x)


def dense(n_in: int, n_out: int, rngs: nnx.Rngs) -> Linear:
    """Returns a dense layer with a Glorot-uniform kernel and a zero bias."""
    return Linear(n_in, n_out, kernel_init=nnx.initializers.glorot_uniform(), rngs=rngs)


def check_dropout(rate: float) -> None:
    """Raises ValueError for what is no probability of zeroing, or would leave nothing."""
    if not 0 <= rate < 1:
        raise ValueError(f"dropout must be in [0, 1), got {rate}")


def dropout(
    x: Float[Array, "batch *features"], keys: Key[Array, " batch"], rate: float
) -> Float[Array, "batch *features"]:
    """Zeroes each number with probability `rate` and divides the others by `1 - rate`.

    An example's mask depends on its own key only, so it is the same wherever the example lies
    in a batch and on however many devices the batch is spread.
    """

    def drop(x: Array, key: Array) -> Array:
        return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)

    return jax.vmap(drop)(x, keys)
