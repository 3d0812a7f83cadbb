"""What fills the lungs of a synthetic chest: vessels, and the two kinds of pneumonia.

Each is a map of centimetres of water that take the place of air along a pixel's ray, so it can lie
in the lungs only. Textures are sums of plane waves of random direction and phase (Rice's model of
noise), which are defined at every point: another pixel size samples the same texture.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jxr.data.phantom_anatomy import Chest, Map, outline, step
from jxr.rng import stream

# Drawn uniformly from [low, high], for every chest whatever its label. Lengths in cm.
RANGES: dict[str, tuple[float, float]] = {
    "markings": (0.0, 0.16),  # strength of the network of lines without a virus
    "viral": (0.45, 1.0),  # and with one, so the weakest is close to normal
    "viral_side": (-0.4, 0.4),  # more on one side than on the other
    "haze": (0.0, 0.45),
    "density": (0.6, 1.0),  # the share of the air that a consolidation replaces
    "side": (-1.0, 1.0),  # by its sign
    "up": (0.28, 0.85),  # place between the lung's top and the diaphragm
    "out": (0.4, 0.7),  # place between the middle and the chest wall
    "width": (2.2, 4.2),  # half axes
    "height": (2.2, 4.2),
    "border": (0.3, 1.2),  # distance of the fissure, over height
    "border_slope": (-0.5, 0.5),
    "border_side": (-1.0, 1.0),
    "second": (-1.0, 0.6),  # a second, round one where positive
    "second_side": (-1.0, 1.0),
    "second_up": (0.28, 0.85),
    "second_out": (0.4, 0.7),
    "second_size": (1.8, 3.5),
}
INTERSTITIUM = 4.0  # cm of water in a line of the densest network where the lung is thickest


def waves(
    key: Key[Array, ""],
    axis: Float[Array, " size"],
    pixel: Float[Array, ""] | float,
    band: tuple[float, float],
    count: int,
) -> Float[Array, "size size"]:
    """Random field of unit variance, band-passed, averaged over square pixels.

    cos(ax + by) = cos ax cos by - sin ax sin by, so all waves together are two matrix products.

    Args:
        key: of the waves.
        axis: pixel centres in cm, along rows and columns alike.
        pixel: width of a pixel in cm.
        band: lowest and highest frequency in cycles per cm.
        count: how many waves.
    """
    frequency, direction, phase = jax.random.uniform(key, (3, count), jnp.float32)
    frequency = band[0] + (band[1] - band[0]) * frequency
    fx = frequency * jnp.cos(2 * jnp.pi * direction)
    fy = frequency * jnp.sin(2 * jnp.pi * direction)
    height = jnp.sqrt(2.0 / count) * jnp.sinc(fx * pixel) * jnp.sinc(fy * pixel)
    along = 2 * jnp.pi * axis[:, None] * fx
    down = 2 * jnp.pi * (axis[:, None] * fy + phase)
    highest = jax.lax.Precision.HIGHEST
    return jnp.matmul(height * jnp.cos(down), jnp.cos(along).T, precision=highest) - jnp.matmul(
        height * jnp.sin(down), jnp.sin(along).T, precision=highest
    )


def filling(
    key: Key[Array, ""],
    label: Int[Array, ""],
    chest: Chest,
    x: Map,
    y: Map,
    lung: Map,
    axis: Float[Array, " size"],
    pixel: Float[Array, ""] | float,
) -> Map:
    """Centimetres of water in place of air: vessels in all, opacities in the sick.

    Nothing but the last steps depends on the label: the same key with another label is the same
    child, well or ill.
    """
    wobble = waves(stream(key, "wobble"), axis, pixel, (0.1, 0.4), 32)
    phases = jax.random.uniform(stream(key, "vessels"), (2, 3), jnp.float32, 0, 2 * jnp.pi)
    thick = lung / (2 * chest["half_depth"])  # 1 where a ray passes through most lung

    strength = jnp.where(label == 2, chest["viral"], chest["markings"])
    haze = jnp.where(label == 2, chest["haze"], 0.0)
    away = hilum_distance(chest, x, y)
    where = (jnp.exp(-((away / 5.0) ** 2)) + 0.5) * (1 + chest["viral_side"] * jnp.sign(x))
    network = reticulation(key, axis, pixel)
    interstitial = INTERSTITIUM * where * strength * (network + haze)
    replaced = jnp.where(label == 1, 0.85 * consolidation(chest, x, y, wobble), 0.0)
    water = thick * (vessels(chest, x, y, phases, wobble) + interstitial) + lung * replaced
    return jnp.clip(water, -0.5 * lung, lung)


def hilum_distance(chest: Chest, x: Map, y: Map) -> Map:
    """Distance from the root of the lung on the same side."""
    return jnp.sqrt((jnp.abs(x) - 1.8) ** 2 + (y - chest["hilum"]) ** 2) + 1e-3


def vessels(chest: Chest, x: Map, y: Map, phases: Float[Array, "2 3"], wobble: Map) -> Map:
    """Three generations of vessels that leave the hilum as rays, thinner and more outwards."""
    angle = jnp.arctan2(y - chest["hilum"], jnp.abs(x) - 1.8)
    away = hilum_distance(chest, x, y)
    total = jnp.zeros_like(x)
    generations = ((9, 0.0, 4.0, 0.36), (17, 2.0, 6.5, 0.26), (29, 4.0, 10.0, 0.18))
    for i, (count, start, end, radius) in enumerate(generations):
        phase = jnp.where(x > 0, phases[0, i], phases[1, i])
        bend = 0.15 * count * wobble * jnp.minimum(away / 6, 1)
        # Near a zero of the sine this is the distance from the middle of a vessel.
        distance = 2 * away / count * jnp.sin(count * angle / 2 + phase + bend)
        width = radius * chest["vessels"] * (1 - 0.05 * jnp.minimum(away, 15.0))
        inside = step(away - start, 0.7) * step(end - away, 1.0)
        total += 2 * width * inside * jnp.exp(-((distance / width) ** 2))
    return total


def reticulation(
    key: Key[Array, ""], axis: Float[Array, " size"], pixel: Float[Array, ""] | float
) -> Float[Array, "size size"]:
    """Network of fine lines, about zero on average: where a band-passed field crosses zero."""
    coarse = waves(stream(key, "coarse"), axis, pixel, (0.3, 0.7), 128)
    fine = waves(stream(key, "fine"), axis, pixel, (0.6, 1.2), 128)
    return jnp.exp(-((coarse / 0.3) ** 2)) + 0.7 * jnp.exp(-((fine / 0.35) ** 2)) - 0.37


def consolidation(chest: Chest, x: Map, y: Map, wobble: Map) -> Map:
    """Share of the air that one or two focal opacities replace.

    The edge is soft and uneven, but sharp along one line, as where a fissure bounds the lobe.
    """

    def patch(side: Array, up: Array, out: Array, width: Array, height: Array) -> tuple:
        level = chest["apex"] + up * (chest["dome"] + 1.5 - chest["apex"])
        middle = jnp.sign(side) * out * outline(chest, level)[0]
        distance = jnp.sqrt(((x - middle) / width) ** 2 + ((y - level) / height) ** 2)
        return step(1 - distance - 0.18 * wobble, 0.35), x - middle, y - level

    first, dx, dy = patch(*(chest[name] for name in ("side", "up", "out", "width", "height")))
    beyond = (dy - chest["border_slope"] * dx) * jnp.sign(chest["border_side"])
    first *= step(chest["border"] * chest["height"] - beyond, 0.1)
    size = chest["second_size"]
    second = patch(chest["second_side"], chest["second_up"], chest["second_out"], size, size)[0]
    return chest["density"] * jnp.maximum(first, jnp.where(chest["second"] > 0, second, 0.0))
