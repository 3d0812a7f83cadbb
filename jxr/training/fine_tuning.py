"""The task of fine-tuning VGG-16, or its last blocks, on several two-class questions at once."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Key

from jxr import rng
from jxr.config import FineTuningConfig
from jxr.data.augmentation import random_views
from jxr.models import abstract, apply_in, split
from jxr.models.tuned_vgg16 import TunedVGG16
from jxr.models.vgg16 import Convention, blocks
from jxr.training.step import Batch, Params, Task


def build_tuned(
    config: FineTuningConfig, questions: int, convention: Convention
) -> Callable[[Key[Array, ""]], TunedVGG16]:
    """Returns key -> freshly initialised last blocks and classifier."""

    def build(key: Key[Array, ""]) -> TunedVGG16:
        return TunedVGG16(
            config.first_block, questions, config.dropout, convention, rngs=nnx.Rngs(params=key)
        )

    return build


def fine_tuning_task(
    config: FineTuningConfig, questions: int, pretrained: Any, convention: Convention, side: int
) -> Task:
    """Returns the task of answering the questions by weighted cross-entropy.

    A batch has `features` (batch x side * side * channels, flattened), `labels` and `weights` (both
    float32, batch x questions; a weight of 0 says that the question does not apply) and
    `example_id`. Where all blocks learn, features are images in [0, 1], of which each step sees
    another random view.

    Args:
        config: What learns, and how.
        questions: How many.
        pretrained: VGG-16's parameters, from which the last blocks start.
        convention: Of the images that these want.
        side: Of the feature maps, in places.
    """
    build = build_tuned(config, questions, convention)
    graphdef, _ = abstract(build)

    def init(key: Key[Array, ""]) -> Params:
        _, params = split(build(key))
        return params | {"blocks": blocks(pretrained, config.first_block, 5)}

    def losses(params: Params, batch: Batch, key: Key[Array, ""]) -> Float[Array, " batch"]:
        features = batch["features"].reshape(len(batch["features"]), side, side, -1)
        if config.first_block == 1:
            features = random_views(
                features.astype(jnp.float32),
                batch["example_id"],
                rng.stream(key, "view"),
                config.augmentation,
            )
        keys = rng.per_example(key, batch["example_id"])
        log_odds = apply_in(
            config.schedule.precision, graphdef, params, features, dropout_keys=keys
        )
        smooth = config.label_smoothing
        targets = batch["labels"] * (1 - smooth) + smooth / 2
        return jnp.sum(
            batch["weights"] * optax.sigmoid_binary_cross_entropy(log_odds, targets), axis=1
        )

    return Task(init=init, losses=losses)
