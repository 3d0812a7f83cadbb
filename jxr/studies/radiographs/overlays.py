"""Grad-CAM's maps laid over the images: an 8-bit grey picture, coloured where the map is high."""

import io
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL import Image

from jxr.data import resize
from jxr.data.images import interpolate

SIDE = 1024  # pixels, at most; the map has far fewer
COLOUR = (213, 94, 0)  # vermilion of Okabe and Ito, which the colour-blind tell from grey
OPACITY = 0.6  # of the colour, where the map is highest


def overlay_name(path: Path, task: str) -> str:
    """Returns the file name of an overlay, below the output folder."""
    # The suffix stays: a.png and a.jpeg are two images.
    return path.with_name(f"{path.name}-gradcam-{task}.png").as_posix()


def for_display(image: Float32[np.ndarray, "height width 1"]) -> UInt8[np.ndarray, "_ _"]:
    """Returns an image in [0, 1] as 8 bits, reduced if it is larger than overlays are."""
    height, width = image.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    return np.rint(255 * resize(image, size)[..., 0]).astype(np.uint8)


def overlay(
    shown: UInt8[np.ndarray, "height width"], cam: Float[np.ndarray, "rows columns"]
) -> UInt8[np.ndarray, "height width 3"]:
    """Returns the image in grey, coloured the more the higher the map is.

    The map is divided by its highest value, unless it is 0 everywhere (then there is no colour),
    and interpolated linearly between the centres of its places.
    """
    highest = float(cam.max())
    relative = cam[..., None].astype(np.float32) / (highest if highest > 0 else 1)
    height, width = shown.shape
    share = OPACITY * interpolate(interpolate(relative, height, axis=0), width, axis=1)
    mixed = (1 - share) * shown[..., None] + share * np.array(COLOUR, np.float32)
    return np.rint(mixed).astype(np.uint8)


def as_png(picture: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """Returns the picture as a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="png")
    return stream.getvalue()
