"""Random views of a radiograph, as other tubes, other hands and other films would give them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jxr import rng
from jxr.config import AugmentationConfig
from jxr.optics import degrade, kernel_radius

Image = Float[Array, "height width 1"]
Number = Float[Array, ""]


def random_views(
    images: Float[Array, "batch height width 1"],
    example_ids: Int[Array, " batch"],
    key: Key[Array, ""],
    config: AugmentationConfig,
) -> Float[Array, "batch height width 1"]:
    """Returns a random view of each image; a view follows the example, not its place.

    Args:
        images: float32 in [0, 1].
        example_ids: Which they are.
        key: Of these views: the same key and example, the same view.
        config: How far views may go.
    """
    keys = rng.per_example(key, example_ids)
    return jax.vmap(random_view, in_axes=(0, 0, None))(images, keys, config)


def random_view(image: Image, key: Key[Array, ""], config: AugmentationConfig) -> Image:
    """Returns the image blurred, framed and exposed anew; pure, for use inside jit and vmap.

    Args:
        image: float32 in [0, 1].
        key: Of this view: the same key, the same view.
        config: How far views may go.

    Returns:
        float32 in [0, 1].
    """
    blurred = random_blur(image, rng.stream(key, "blur"), config)
    framed = random_frame(blurred, rng.stream(key, "frame"), config)
    return random_exposure(framed, rng.stream(key, "exposure"), config)


def random_blur(image: Image, key: Key[Array, ""], config: AugmentationConfig) -> Image:
    """Returns the image rounded to 8 bits, in a share `blurred` of the cases blurred before.

    The standard deviation is uniform from 0 to `max_sigma` pixels.
    """
    chosen = jax.random.bernoulli(rng.stream(key, "chosen"), config.blurred)
    sigma = jax.random.uniform(rng.stream(key, "sigma"), maxval=config.max_sigma)
    return degrade(
        image[None],
        jnp.where(chosen, sigma, 0.0),
        key[None],  # of noise, which there is none of
        radius=kernel_radius(config.max_sigma),
        noise=0.0,
        eight_bit=True,
    )[0]


def random_frame(image: Image, key: Key[Array, ""], config: AugmentationConfig) -> Image:
    """Returns another frame of the image: turned, closer or farther, stretched, moved, mirrored.

    What lies outside the image is its nearest edge.
    """
    turn = _symmetric(key, "turn", config.rotation)
    smallest, largest = config.frame
    side = jax.random.uniform(rng.stream(key, "side"), minval=smallest, maxval=largest)
    stretch = jnp.exp(_symmetric(key, "stretch", config.stretch))
    mirrored = jax.random.bernoulli(rng.stream(key, "mirror"), config.mirrored)
    return frame(
        image,
        turn=turn,
        height=side * stretch,
        width=side / stretch * jnp.where(mirrored, -1, 1),
        down=_symmetric(key, "down", config.shift),
        right=_symmetric(key, "right", config.shift),
    )


def frame(
    image: Image,
    *,
    turn: Number | float,
    height: Number | float,
    width: Number | float,
    down: Number | float,
    right: Number | float,
) -> Image:
    """Returns what a turned rectangle sees of the image, on as many pixels, bilinear.

    Args:
        image: any values.
        turn: of the rectangle, in degrees, anticlockwise on the screen.
        height: of the rectangle, in image heights.
        width: of the rectangle, in image widths; a negative one mirrors.
        down: of the rectangle's centre from the image's, in image heights.
        right: of the rectangle's centre from the image's, in image widths.
    """
    rows, columns, _ = image.shape
    y = height * rows * ((jnp.arange(rows) + 0.5) / rows - 0.5)[:, None]
    x = width * columns * ((jnp.arange(columns) + 0.5) / columns - 0.5)
    cos, sin = jnp.cos(jnp.deg2rad(turn)), jnp.sin(jnp.deg2rad(turn))
    at = (
        cos * y - sin * x + (0.5 + down) * rows - 0.5,
        sin * y + cos * x + (0.5 + right) * columns - 0.5,
    )
    seen = jax.scipy.ndimage.map_coordinates(image[..., 0], at, order=1, mode="nearest")
    return seen[..., None]


def random_exposure(image: Image, key: Key[Array, ""], config: AugmentationConfig) -> Image:
    """Returns the image with another gamma, then contrast about its mean, then brightness."""
    curved = image ** jnp.exp(_symmetric(key, "gamma", config.gamma))
    mean = curved.mean()
    contrast = jnp.exp(_symmetric(key, "contrast", config.contrast))
    brightness = _symmetric(key, "brightness", config.brightness)
    return jnp.clip(mean + contrast * (curved - mean) + brightness, 0, 1)


def _symmetric(key: Key[Array, ""], name: str, most: float) -> Number:
    """Returns a number drawn evenly from -most to most."""
    return jax.random.uniform(rng.stream(key, name), minval=-most, maxval=most)
