"""The task of one restorer for all blurs: every example gets its own blur, noise and precision."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Key

from jxr import rng
from jxr.config import DegradationRange, WienerNetConfig
from jxr.models import abstract, apply_in, split
from jxr.models.wiener_net import WienerNet
from jxr.optics import (
    add_gaussian_noise,
    blur_separable,
    cut_profile,
    gaussian_profile,
    kernel_radius,
    quantise,
)
from jxr.restoration.wiener_bank import wiener_bank
from jxr.training.step import Batch, Params, Task
from jxr.training.tasks import random_crop


class Setting(NamedTuple):
    """How one example is degraded, and what the restorer is told of it."""

    sigma: Float[Array, ""]  # pixels, the Gaussian's standard deviation
    told_sigma: Float[Array, ""]
    width_error: Float[Array, ""]
    noise: Float[Array, ""]
    eight_bit: Bool[Array, ""]


def build_wiener_net(
    config: WienerNetConfig, log_power: Float[Array, " knots"] | None = None
) -> Callable[[Key[Array, ""]], WienerNet]:
    """Returns key -> freshly initialised network for images of this power spectrum."""

    def build(key: Key[Array, ""]) -> WienerNet:
        return WienerNet(
            width=config.width,
            blocks=config.blocks,
            log_power=log_power,
            rngs=nnx.Rngs(params=key),
        )

    return build


def wiener_net_task(
    config: WienerNetConfig, degradations: DegradationRange, log_power: Float[Array, " knots"]
) -> Task:
    """Returns the task: mean squared error in units of what the best linear filter leaves.

    So every setting counts the same, and a loss of 1 is the linear limit. A batch has `image`
    (float32 in [0, 1], NHWC, one channel) and `example_id`. Whole images are degraded and
    filtered; the network sees crops of them.
    """
    build = build_wiener_net(config, log_power)
    graphdef, _ = abstract(build)

    def losses(params: Params, batch: Batch, key: Key[Array, ""]) -> Float[Array, " batch"]:
        log_spectrum = jax.lax.stop_gradient(params["log_power"])
        stack = jax.vmap(lambda image, key: example(image, key, log_spectrum))
        keys = rng.per_example(rng.stream(key, "degradation"), batch["example_id"])
        inputs, conditions, wanted = stack(batch["image"], keys)
        correction = apply_in(config.schedule.precision, graphdef, params, inputs, conditions)
        return jnp.square(correction - wanted).mean(axis=(1, 2, 3))

    def example(image: Array, key: Array, log_spectrum: Array) -> tuple[Array, Array, Array]:
        setting = draw_setting(rng.stream(key, "setting"), degradations)
        seen = observe(image, setting, rng.stream(key, "noise"), degradations)
        bank = wiener_bank(
            seen,
            profile(setting.told_sigma, degradations),
            log_spectrum,
            noise=setting.noise,
            quantisation=jnp.where(setting.eight_bit, 1 / 255, 0.0),
            width_error=setting.width_error,
        )
        wanted = (image - bank.best) / bank.error_std
        pair = jnp.concatenate([bank.inputs, wanted], axis=-1)
        if config.crop:
            pair = random_crop(rng.stream(key, "crop"), pair, config.crop)
        return pair[..., :-1], bank.conditions, pair[..., -1:]

    return Task(init=lambda key: split(build(key))[1], losses=losses)


def draw_setting(key: Key[Array, ""], ranges: DegradationRange) -> Setting:
    """Draws blur, noise, precision and what is told of the blur.

    The standard deviation of the blur is uniform up to `max_sigma`. Four in ten examples have
    8 bits and no noise; two in ten are nearly free of noise (1e-6 to 1e-3); four in ten have noise
    from 1e-3 to `max_noise`, a third of them also 8 bits. Noise is uniform in its logarithm. One
    example in four is told a wrong width, off by up to `width_error` evenly.
    """
    sigma_key, kind_key, noise_key, told_key, off_key = (
        rng.stream(key, name) for name in ("sigma", "kind", "noise", "told", "off")
    )
    sigma = jax.random.uniform(sigma_key, maxval=ranges.max_sigma)
    kind = jax.random.uniform(kind_key)
    little, much = (
        10 ** jax.random.uniform(noise_key, minval=jnp.log10(low), maxval=jnp.log10(high))
        for low, high in ((1e-6, 1e-3), (1e-3, ranges.max_noise))
    )
    noise = jnp.where(kind < 0.4, 0.0, jnp.where(kind < 0.6, little, much))
    wrong = jax.random.bernoulli(told_key, 0.25)
    off = jax.random.uniform(off_key, minval=-ranges.width_error, maxval=ranges.width_error)
    return Setting(
        sigma=sigma,
        told_sigma=sigma * (1 + jnp.where(wrong, off, 0.0)),
        width_error=jnp.where(wrong, ranges.width_error / 3**0.5, 0.0),
        noise=noise,
        eight_bit=(kind < 0.4) | (kind > 1 - 0.4 / 3),
    )


def observe(
    image: Float[Array, "height width 1"],
    setting: Setting,
    key: Key[Array, ""],
    ranges: DegradationRange,
) -> Float[Array, "height width 1"]:
    """Returns the image as a detector gives it in this setting."""
    blurred = blur_separable(image, profile(setting.sigma, ranges))
    noisy = add_gaussian_noise(key, blurred, setting.noise)
    return jnp.where(setting.eight_bit, quantise(noisy, bits=8), noisy)


def profile(sigma: Float[Array, ""], ranges: DegradationRange) -> Float[Array, " size"]:
    """Returns the Gaussian cut off at four standard deviations, as `kernel_radius` does."""
    radius = kernel_radius(ranges.max_sigma * (1 + ranges.width_error))
    return cut_profile(gaussian_profile(sigma, radius=radius), sigma)
