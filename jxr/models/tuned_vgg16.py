"""The last blocks of VGG-16, or all, with a small classifier, for training on what others give."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from jxr.models.heads import check_dropout, dense, dropout
from jxr.models.vgg16 import VGG16, Convention, preprocess


class TunedVGG16(nnx.Module):
    """Blocks of VGG-16, the mean over all places, dropout, and log-odds for each question.

    The mean makes it indifferent to where in the image something is seen, and spares it the 6
    million numbers of a dense layer on all places.
    """

    def __init__(
        self,
        first: int = 5,
        questions: int = 2,
        dropout: float = 0.5,
        convention: Convention = "caffe",
        *,
        rngs: nnx.Rngs,
    ):
        check_dropout(dropout)
        self.dropout, self.convention = dropout, convention
        self.blocks = VGG16(first, 5, rngs=rngs)
        self.log_odds = dense(512, questions, rngs)

    def __call__(
        self,
        features: Float[Array, "batch height width channels"],
        *,
        dropout_keys: Key[Array, " batch"] | None = None,
    ) -> Float[Array, "batch questions"]:
        """Returns the log-odds of yes to each question.

        Args:
            features: what the block before the first of these gives; images in [0, 1] if there is
                none before it.
            dropout_keys: one key an example (`jxr.rng.per_example`), or None for no dropout.

        Raises:
            ValueError: the maps are too small for the poolings that follow.
        """
        least = 2 ** (6 - self.blocks.first)
        if min(features.shape[1:3]) < least:
            raise ValueError(f"maps of {features.shape[1:3]} places: {least} a side at least")
        x = features.astype(jnp.float32)
        if self.blocks.first == 1:
            x = preprocess(x, self.convention)
        x = self.blocks(x).mean(axis=(1, 2))
        if dropout_keys is not None:
            x = dropout(x, dropout_keys, self.dropout)
        return self.log_odds(x)
