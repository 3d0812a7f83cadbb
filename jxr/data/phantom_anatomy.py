"""The parts of a synthetic chest, and how many centimetres of each a ray passes through.

Parallel rays run front to back along z, so a pixel is a point (x, y) of the frontal plane in
centimetres, and a part is described by its chord there, in closed form. x grows to the viewer's
right (the patient's left), y downwards; the origin is the middle of the chest. Sizes are those of
a child of about five years. Parts are centred on one plane z = 0, so that the chord of a union is
the larger of two chords, and what lies in the lung is taken out of the lung.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Map = Float[Array, "height width"]
Number = Float[Array, ""] | float
Chest = dict[str, Float[Array, ""]]

# What differs from child to child, each drawn uniformly from [low, high]. Lengths in cm.
RANGES: dict[str, tuple[float, float]] = {
    "half_width": (7.3, 9.0),  # of the chest cavity
    "half_depth": (4.6, 6.0),
    "wall": (1.0, 1.9),  # ribs, muscles and fat around the cavity
    "apex": (-9.2, -7.8),  # y of the lungs' top
    "roundness": (1.9, 2.6),  # of the cavity's outline: larger is more of a box
    "dome": (3.6, 5.8),  # y of the right dome of the diaphragm
    "dome_step": (0.2, 1.3),  # how much lower the left dome is
    "dome_height": (2.4, 3.8),
    "heart": (0.85, 1.2),  # relative size
    "heart_x": (1.0, 2.0),
    "heart_tilt": (0.35, 0.8),  # radians
    "mediastinum": (1.5, 2.6),  # half its width; a child's thymus makes it wide
    "spine": (0.85, 1.2),  # half the width of a vertebra
    "spine_bend": (-0.5, 0.5),
    "vertebra": (1.35, 1.65),  # from one vertebra to the next
    "vertebra_phase": (0.0, 1.0),
    "rib_gap": (1.45, 1.8),
    "rib_phase": (-0.3, 0.4),
    "rib_fall": (4.2, 6.4),  # how much lower a rib's front end is than its back end
    "rib_slope": (-0.05, 0.22),
    "rib_radius": (0.26, 0.36),
    "mineral": (0.7, 1.25),  # of all bones, relative
    "clavicle_slope": (-0.22, 0.12),
    "arm_left": (-5.0, 1.5),  # y of the elbows, out of the image
    "arm_right": (-5.0, 1.5),
    "scapula": (-0.6, 1.2),  # how far the shoulder blades are turned out of the lungs
    "trachea": (-0.35, 0.35),  # x of its middle
    "stomach": (-0.8, 1.7),  # radius of the gas in it; none if negative
    "head": (-16.5, -13.8),  # y of its middle
    "hilum": (-0.8, 0.6),  # y of the lungs' roots
    "vessels": (0.6, 1.4),  # relative thickness
}


class Parts(NamedTuple):
    """Centimetres along the ray of each pixel; those of bone count as solid cortical bone."""

    body: Map  # everything inside the skin
    lung: Map  # air-filled lung
    gas: Map  # windpipe and stomach
    bone: Map


def ellipse(x: Map, y: Map, radii: tuple[Number, Number, Number], tilt: Number = 0.0) -> Map:
    """Chord through an ellipsoid at the origin with half axes (x, y, z), turned in the plane."""
    cos, sin = jnp.cos(tilt), jnp.sin(tilt)
    u, v = (x * cos + y * sin) / radii[0], (y * cos - x * sin) / radii[1]
    return 2 * radii[2] * root(1 - u**2 - v**2)


def rod(x: Map, y: Map, start: tuple, end: tuple, radius: Number) -> Map:
    """Chord through a straight round rod with round ends, that lies in the plane."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = ((x - start[0]) * dx + (y - start[1]) * dy) / (dx**2 + dy**2)
    along = jnp.clip(along, 0, 1)
    distance2 = (x - start[0] - along * dx) ** 2 + (y - start[1] - along * dy) ** 2
    return 2 * root(radius**2 - distance2)


def pipe(distance2: Map, radius: Map | Number, wall: Number) -> Map:
    """Chord through the wall of a tube: brightest near its edges, as long bones are."""
    return 2 * (root(radius**2 - distance2) - root((radius - wall) ** 2 - distance2))


def root(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The square root where x is positive, else 0."""
    return jnp.sqrt(jnp.maximum(x, 0))


def step(x: Map, width: Number) -> Map:
    """A soft step from 0 to 1 at x = 0."""
    return 0.5 + 0.5 * jnp.tanh(x / width)


def parts(chest: Chest, x: Map, y: Map) -> Parts:
    """Puts the chest together."""
    trunk = body(chest, x, y)
    lung = lungs(chest, x, y)
    trachea = rod(x, y, (chest["trachea"], -14.0), (chest["trachea"] * 0.5, -3.2), 0.55)
    for side, drop in ((-1.0, 1.5), (1.0, 1.3)):
        bronchus = rod(x, y, (chest["trachea"] * 0.5, -3.3), (side * 2.0, -3.3 + drop), 0.36)
        trachea = jnp.maximum(trachea, bronchus)
    size = jnp.maximum(chest["stomach"], 0.01)
    below = chest["dome"] + chest["dome_step"] + 0.5 + size
    stomach = ellipse(x - 4.2, y - below, (1.5 * size, size, 1.3 * size), -0.2)
    bone = ribs(chest, x, y) + spine(chest, x, y) + shoulders(chest, x, y)
    bone = chest["mineral"] * bone * (trunk > 0)
    return Parts(trunk, lung, trachea + stomach, bone)


def body(chest: Chest, x: Map, y: Map) -> Map:
    """Trunk, neck, head and arms."""
    depth = chest["half_depth"] + chest["wall"]
    broad = chest["half_width"] + chest["wall"] + 0.04 * (y - 4) ** 2 * (y < 4) * 0.3
    shoulder = step(y - (chest["apex"] + 0.2), 1.3)
    half = 2.6 + (broad - 2.6) * shoulder
    trunk = 2 * (3.0 + (depth - 3.0) * shoulder) * root(1 - jnp.abs(x / half) ** 2.5)
    head = ellipse(x, y - chest["head"], (5.0, 5.6, 5.0))
    trunk = jnp.maximum(trunk, head)
    for side, elbow in ((-1.0, chest["arm_right"]), (1.0, chest["arm_left"])):
        joint = (side * (chest["half_width"] + 0.4), chest["apex"] + 2.2)
        arm = rod(x, y, joint, (side * 16.0, elbow - 4.0), 1.9)
        trunk = jnp.maximum(trunk, arm)
    return trunk


def outline(
    chest: Chest, y: Float[Array, "*shape"]
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Half width and half depth of the chest cavity at a height."""
    t = jnp.clip((y - chest["apex"]) / (7.5 - chest["apex"]), 0, 1)
    shape = root(1 - (1 - t) ** chest["roundness"])
    return chest["half_width"] * (shape - 0.04 * t) + 1e-3, chest["half_depth"] * shape + 1e-3


def lungs(chest: Chest, x: Map, y: Map) -> Map:
    """The cavity, less heart and vessels in the middle and the diaphragm from below."""
    half, depth = outline(chest, y)
    cavity = 2 * depth * root(1 - (x / half) ** 2)
    left = x > 0
    dome = chest["dome"] + chest["dome_step"] * left
    centre = jnp.where(left, 3.9, -3.5) * chest["half_width"] / 8
    rise = (y - dome) / chest["dome_height"] - ((x - centre) / 6.0) ** 2
    diaphragm = 2 * chest["half_depth"] * root(rise)
    return jnp.maximum(cavity - jnp.maximum(diaphragm, middle(chest, x, y)), 0)


def middle(chest: Chest, x: Map, y: Map) -> Map:
    """Chord through heart, great vessels, thymus and what surrounds the spine."""
    size, bottom = chest["heart"], y - chest["dome"]
    ventricles = ellipse(
        x - chest["heart_x"],
        bottom + 2.0 * size,
        (4.5 * size, 3.2 * size, 4.4 * size),
        chest["heart_tilt"],
    )
    atrium = ellipse(x + 0.7, bottom + 2.6 * size, (2.5 * size, 3.4 * size, 4.2 * size), 0.15)
    aorta = ellipse(x - 0.7, y + 4.0, (1.4, 2.2, 4.0))
    pulmonary = ellipse(x - 1.0, y + 1.2, (1.9, 2.8, 4.4), 0.4)
    half = chest["mediastinum"] * (0.9 + 0.08 * jnp.sin(y / 2.5))
    column = 2 * chest["half_depth"] * 1.2 * root(1 - (jnp.abs(x) / half) ** 3)
    # A soft maximum rounds off the corners where two parts meet.
    chords = (ventricles, atrium, aorta, pulmonary, column)
    return sum(chord**5 for chord in chords) ** 0.2  # type: ignore[return-value]


def ribs(chest: Chest, x: Map, y: Map) -> Map:
    """Ten pairs of tubes, each a tilted hoop that a ray meets behind and before the lungs.

    A hoop around the cavity, lower in front by `rib_fall`, projects to an ellipse: its upper half
    is the rib's back, its lower half the front. The chord through an oblique tube is that of its
    cross-section times length in space over length in the plane, largest at the chest's sides.
    """
    shear = y - chest["rib_slope"] * jnp.abs(x)
    fall = chest["rib_fall"] / 2

    def rib(i: Array) -> Map:
        back = chest["apex"] + 0.5 + chest["rib_phase"] + i * chest["rib_gap"]
        grow = jnp.minimum(1.0, 0.5 + 0.17 * i)  # the first ribs are small and steep
        half, depth = outline(chest, back + fall * grow)
        half, high = half + 0.25, fall * grow
        u, v = x / half, (shear - back - high) / high
        radius = jnp.sqrt(u**2 + v**2) + 1e-6
        # Distance from an ellipse to first order: its equation over the length of the gradient.
        steep2 = ((u / half) ** 2 + (v / high) ** 2) / radius**2
        distance2 = (radius - 1) ** 2 / (steep2 + 1e-6)
        sin2, cos2 = (u / radius) ** 2, (v / radius) ** 2
        oblique = jnp.sqrt(1 + (depth**2 * sin2) / (half**2 * cos2 + high**2 * sin2))
        front = step(v, 0.15)
        # Cartilage casts no shadow; the lowest ribs end at the side.
        bony = 1 - front * step(jnp.where(i < 7, 0.62, 0.95) - jnp.abs(u), 0.08)
        size = chest["rib_radius"] * (1 - 0.15 * front)
        tube = pipe(distance2, size, 0.06) + 0.3 * root(size**2 - distance2)  # shell and marrow
        return bony * (1 - 0.4 * front) * oblique * tube

    return jax.vmap(rib)(jnp.arange(10)).sum(0)


def spine(chest: Chest, x: Map, y: Map) -> Map:
    """Vertebral bodies with discs between them, their two pedicles and a spinous process."""
    x = x - chest["spine_bend"] * jnp.cos(y / 5)
    t = jnp.mod(y / chest["vertebra"] + chest["vertebra_phase"], 1) - 0.5
    width = chest["spine"] * (1 + 0.015 * y + 0.25 * t**2)
    block = step(width - jnp.abs(x), 0.08) * step(0.4 - jnp.abs(t), 0.05)
    end_plate = jnp.exp(-(((jnp.abs(t) - 0.37) / 0.04) ** 2)) * step(width - jnp.abs(x), 0.08)
    dx = (jnp.abs(x) - 0.62 * width) / 0.24
    pedicle = jnp.exp(-((jnp.sqrt(dx**2 + (t / 0.17) ** 2) - 1) ** 2) / 0.12)
    process = jnp.exp(-((x / 0.14) ** 2) - ((t - 0.25) / 0.2) ** 2)
    return 0.35 * block + 0.08 * end_plate + 0.12 * pedicle + 0.15 * process


def shoulders(chest: Chest, x: Map, y: Map) -> Map:
    """Collar bones, shoulder blades and upper arms."""
    u = jnp.abs(x)
    top, wide = chest["apex"], chest["half_width"]
    s = (u - 1.0) / (wide - 1.0)  # 0 at the breast bone, 1 at the shoulder
    curve = top + 1.7 + chest["clavicle_slope"] * u + 0.35 * jnp.sin(2 * jnp.pi * s)
    steep = chest["clavicle_slope"] + 2.2 / wide * jnp.cos(2 * jnp.pi * s)
    distance2 = (y - curve) ** 2 / (1 + steep**2)
    inside = step(s - 0.02, 0.04) * step(1.0 - s, 0.04)
    clavicle = inside * pipe(distance2, 0.34, 0.1)

    turn = wide + chest["scapula"]
    blade = jnp.zeros_like(x)
    for start, end in (
        ((turn - 0.6, top + 2.0), (turn - 2.0, top + 7.5)),
        ((turn - 2.9, top + 2.6), (turn - 2.0, top + 7.5)),
        ((turn - 2.9, top + 2.9), (turn - 0.2, top + 1.9)),
    ):
        blade = jnp.maximum(blade, rod(u, y, start, end, 0.3))
    arms = jnp.zeros_like(x)
    for side, elbow in ((-1.0, chest["arm_right"]), (1.0, chest["arm_left"])):
        joint = (wide + 0.7, top + 2.0)
        shaft = rod(side * x, y, joint, (16.0, elbow - 4.0), 0.6)
        hollow = rod(side * x, y, (wide + 2.0, top + 2.0), (16.0, elbow - 4.0), 0.4)
        head = ellipse(side * x - joint[0], y - joint[1], (0.85, 0.85, 0.85))
        arms += 0.5 * jnp.maximum(shaft - hollow, 0.35 * head)
    return clavicle + 0.25 * blade + arms
