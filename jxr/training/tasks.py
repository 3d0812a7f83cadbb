"""The two tasks: a head on frozen features, and a U-Net on (blurred, original) pairs."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from jxr import rng
from jxr.config import BlurConfig, HeadConfig, UNetConfig
from jxr.models import Head, UNet, abstract, apply_in, split
from jxr.optics import degrade, kernel_radius
from jxr.training.step import Batch, Params, Task


def build_head(config: HeadConfig, in_features: int) -> Callable[[Key[Array, ""]], Head]:
    """Returns key -> freshly initialised head of two classes."""

    def build(key: Key[Array, ""]) -> Head:
        return Head(
            in_features, hidden=config.hidden, dropout=config.dropout, rngs=nnx.Rngs(params=key)
        )

    return build


def build_unet(config: UNetConfig) -> Callable[[Key[Array, ""]], UNet]:
    """Returns key -> freshly initialised U-Net."""

    def build(key: Key[Array, ""]) -> UNet:
        return UNet(
            width=config.width,
            depth=config.depth,
            channels=config.channels,
            residual=config.residual,
            remat=config.remat,
            rngs=nnx.Rngs(params=key),
        )

    return build


def classifier_task(config: HeadConfig, in_features: int) -> Task:
    """Returns the task of telling two classes apart by cross-entropy on cached features.

    A batch has `features` (float32, batch x in_features), `label` (0 or 1) and `example_id`.
    """
    build = build_head(config, in_features)
    graphdef, _ = abstract(build)

    def losses(params: Params, batch: Batch, key: Key[Array, ""]) -> Float[Array, " batch"]:
        keys = rng.per_example(key, batch["example_id"])
        logits = apply_in(
            config.schedule.precision, graphdef, params, batch["features"], dropout_keys=keys
        )
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])

    return Task(init=lambda key: split(build(key))[1], losses=losses)


def restorer_task(
    config: UNetConfig, blur: BlurConfig, sigma: Float[Array, ""] | None = None
) -> Task:
    """Returns the task of restoring images by mean squared error; pairs are made on the device.

    A batch has `image` (float32 in [0, 1], NHWC, one channel) and `example_id`. With crops, the
    whole image is blurred first, so that a crop's border is image and not boundary condition.

    Args:
        config: The network and its crops.
        blur: How images are degraded.
        sigma: Instead of the blur's, at most as large; may be traced.
    """
    build = build_unet(config)
    graphdef, _ = abstract(build)

    def losses(params: Params, batch: Batch, key: Key[Array, ""]) -> Float[Array, " batch"]:
        originals = batch["image"]
        noise_key = rng.stream(key, "noise")
        blurred = blurred_images(originals, batch["example_id"], noise_key, blur, sigma)
        if config.crop:
            corner_keys = rng.per_example(rng.stream(key, "crop"), batch["example_id"])
            crop = jax.vmap(random_crop, in_axes=(0, 0, None))
            blurred = crop(corner_keys, blurred, config.crop)
            originals = crop(corner_keys, originals, config.crop)
        seen = jnp.repeat(blurred, config.channels, axis=-1)
        restored = apply_in(config.schedule.precision, graphdef, params, seen)
        return jnp.square(restored - originals).mean(axis=(1, 2, 3))

    return Task(init=lambda key: split(build(key))[1], losses=losses)


def blurred_images(
    images: Float[Array, "batch height width channels"],
    example_ids: Int[Array, " batch"],
    key: Key[Array, ""],
    blur: BlurConfig,
    sigma: Float[Array, ""] | None = None,
    noise: Float[Array, ""] | None = None,
) -> Float[Array, "batch height width channels"]:
    """Returns the images in one blur setting; the noise follows the example, not its place.

    Args:
        images: In [0, 1].
        example_ids: Which they are.
        key: Of the noise.
        blur: The setting.
        sigma: Instead of the blur's, at most as large; may be traced.
        noise: Instead of the blur's; may be traced.
    """
    return degrade(
        images,
        blur.sigma if sigma is None else sigma,
        rng.per_example(key, example_ids),
        radius=kernel_radius(blur.sigma, blur.convention),
        noise=blur.noise if noise is None else noise,
        cut=sigma is not None,
        eight_bit=blur.input_precision == "8bit",
        convention=blur.convention,
        sampling=blur.sampling,
        boundary=blur.boundary,
    )


def random_crop(
    key: Key[Array, ""], image: Float[Array, "height width channels"], size: int
) -> Float[Array, "size size channels"]:
    """Returns a square of `size` pixels from a place drawn evenly from all that fit."""
    limits = jnp.array([image.shape[0] - size + 1, image.shape[1] - size + 1])
    row, column = jax.random.randint(key, (2,), 0, limits)
    return jax.lax.dynamic_slice(image, (row, column, 0), (size, size, image.shape[2]))
