"""Synthetic frontal chest radiographs: data for whoever has none, without any patient.

A phantom is a chest of closed-form parts (`phantom_anatomy`), its lungs filled according to the
label (`phantom_lungs`), and the X-ray film of it made here: Beer and Lambert's law, scatter,
quantum noise, and a film's S-shaped curve. Nothing is fitted to or copied from real images.
"""

import functools
import hashlib

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, Key

from jxr.data import phantom_anatomy, phantom_lungs
from jxr.data.image_set import ImageSet
from jxr.data.phantom_anatomy import Chest, Map, Parts, parts, step
from jxr.data.records import LABELS, Record, Split
from jxr.errors import UserError
from jxr.rng import stream

VERSION = 1  # raised with every change of an image
SMALLEST = 32  # pixels: below, ribs are lost
FEWEST = 18  # images a split: six of each of the three classes
FIELD = 24.0  # cm, the width of the image in the plane of the chest

# Linear attenuation coefficients in 1/cm at 40 keV, about the mean energy of a child's chest film
# (60 to 70 kVp): mass coefficient times density, both for the ICRU-44 tissues of Hubbell and
# Seltzer's tables (NISTIR 5632), 0.269 cm2/g x 1.06 g/cm3 and 0.666 x 1.92; the lung's density is
# 0.26 as in an inflated lung (tabulated is 1.05, without air).
SOFT, LUNG, BONE = 0.285, 0.070, 1.278

# How a film differs from the next, drawn uniformly from [low, high].
FILM: dict[str, tuple[float, float]] = {
    "magnification": (0.92, 1.12),
    "shift_x": (-0.8, 0.8),  # cm
    "shift_y": (-1.0, 0.6),
    "rotation": (-0.07, 0.07),  # radians
    "uneven": (0.2, 0.6),  # cm of fat, muscle and cloth more or less, smoothly
    "scatter": (0.005, 0.02),  # of the open beam; as much as reaches the film behind the heart
    "photons": (3e5, 1.2e6),  # detected per cm2 of open beam: a low dose
    "centre": (2.05, 2.8),  # line integral that is shown as middle grey
    "contrast": (0.55, 0.8),  # line integral from there to a grey of 0.73
    "collimator": (10.8, 18.0),  # cm from the image's middle; black outside
}
RANGES = phantom_anatomy.RANGES | phantom_lungs.RANGES | FILM


@functools.partial(jax.jit, static_argnames="size")
def phantom(
    key: Key[Array, ""], label: Int[Array, ""] | int, *, size: int
) -> Float[Array, "size size 1"]:
    """Returns a synthetic chest radiograph, bones bright and lungs dark.

    A pure function, already jitted; `vmap` it over keys and labels. Everything is drawn from the
    key and placed in centimetres: another size shows the same chest (quantum noise differs, and
    textures finer than a pixel are averaged out), another label the same chest well or ill.

    Args:
        key: of the child and the film.
        label: 0 normal, 1 bacteria (one or two focal opacities), 2 virus (a network of fine lines
            in both lungs, strongest around their roots), as in `LABELS`.
        size: height and width in pixels, at least 32.

    Returns:
        float32 in [0, 1]; the patient's left is on the right.

    Raises:
        ValueError: the size is too small.
    """
    if size < SMALLEST:
        raise ValueError(f"a phantom has at least {SMALLEST} pixels a side, not {size}")
    chest = draw_chest(key)
    axis, x, y = coordinates(chest, size)
    pixel = FIELD / size
    whole = parts(chest, x, y)
    water = phantom_lungs.filling(key, jnp.asarray(label), chest, x, y, whole.lung, axis, pixel)
    uneven = phantom_lungs.waves(stream(key, "uneven"), axis, pixel, (0.03, 0.12), 24)
    integral = line_integral(whole, water + chest["uneven"] * uneven * (whole.body > 0), water)

    intensity = jnp.exp(-integral) + chest["scatter"]
    # So many photons that Poisson's law is Gauss's.
    noise = jax.random.normal(stream(key, "noise"), (size, size), jnp.float32)
    intensity += noise * jnp.sqrt(intensity / (chest["photons"] * pixel**2))
    image = develop(intensity, chest["centre"], chest["contrast"])
    inside = chest["collimator"] - jnp.maximum(jnp.abs(axis), jnp.abs(axis[:, None]))
    return (image * step(inside, 0.1))[..., None]


def draw_chest(key: Key[Array, ""]) -> Chest:
    """Draws every number of `RANGES`."""
    low, high = jnp.asarray(list(RANGES.values()), jnp.float32).T
    draws = jax.random.uniform(stream(key, "chest"), low.shape, jnp.float32)
    return dict(zip(RANGES, low + (high - low) * draws, strict=True))


def coordinates(
    chest: Chest, size: int
) -> tuple[Float[Array, " size"], Float[Array, "size size"], Float[Array, "size size"]]:
    """Pixel centres in cm along an axis of the image, and each pixel's x and y in the chest."""
    axis = ((jnp.arange(size, dtype=jnp.float32) + 0.5) / size - 0.5) * FIELD
    u, v = jnp.meshgrid(axis, axis)
    cos = jnp.cos(chest["rotation"]) / chest["magnification"]
    sin = jnp.sin(chest["rotation"]) / chest["magnification"]
    return axis, u * cos + v * sin - chest["shift_x"], v * cos - u * sin - chest["shift_y"]


def line_integral(whole: Parts, added: Map | float = 0.0, replaced: Map | float = 0.0) -> Map:
    """Integral of the attenuation coefficient along each ray, without unit: -log of what passes.

    Args:
        whole: centimetres of each part.
        added: centimetres of soft tissue more.
        replaced: centimetres of lung less.
    """
    soft = whole.body - whole.lung - whole.gas - whole.bone + added
    lung = whole.lung - replaced
    return SOFT * jnp.maximum(soft, 0) + LUNG * jnp.maximum(lung, 0) + BONE * whole.bone


def develop(intensity: Map, centre: Array | float, contrast: Array | float) -> Map:
    """Blackening of a film by light: a logistic curve of the logarithm (Hurter and Driffield)."""
    return jax.nn.sigmoid((-jnp.log(jnp.maximum(intensity, 1e-5)) - centre) / contrast)


def phantom_set(*, train: int, test: int, seed: int, size: int) -> ImageSet:
    """Returns a set of phantoms, each made when it is read.

    The three classes are equally frequent (as far as the counts divide), unlike in the report's
    set with its 27 % normal, 47 % bacterial and 26 % viral images: in a set this small each class
    needs as many images as it can get. There is one image a patient, and no split repeats
    another's image, whatever the counts.

    Args:
        train: how many training images, at least 18.
        test: how many test images, at least 18.
        seed: of all images. More images of the same seed begin with the same ones.
        size: height and width in pixels, at least 32.

    Returns:
        The set; its paths are names only, no such files exist.

    Raises:
        UserError: too few images or too small ones.
    """
    for name, count in (("train", train), ("test", test)):
        if count < FEWEST:
            raise UserError(
                f"data.phantoms.{name} is {count}: three classes need at least {FEWEST} images"
            )
    if size < SMALLEST:
        raise UserError(f"phantoms of {size} pixels a side: they need at least {SMALLEST}")
    counts: dict[Split, int] = {"train": train, "test": test}
    rows = sorted(
        (made_up_record(split, i), i) for split, count in counts.items() for i in range(count)
    )

    def read(row: int) -> Float32[np.ndarray, "size size 1"]:
        record, i = rows[row]
        key = jax.random.fold_in(stream(jax.random.key(seed), f"phantoms {record.split}"), i)
        return np.asarray(phantom(key, LABELS.index(record.label), size=size))

    recipe = f"phantoms {VERSION}: train {train}, test {test}, seed {seed}, size {size}"
    return ImageSet(
        records=tuple(record for record, _ in rows),
        fingerprint=hashlib.sha256(recipe.encode()).hexdigest(),
        read=read,
        notes=("The images are synthetic phantoms: scores on them say nothing about patients.",),
    )


def made_up_record(split: Split, i: int) -> Record:
    """Returns the record of the i-th image of a split; labels take turns."""
    label = LABELS[i % len(LABELS)]
    name = f"phantom{i:05d}"
    return Record(f"{split}/{label}/{name}.png", label, f"{split}-{name}", split)
