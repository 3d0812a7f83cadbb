"""What is on the screen of the browser, as pixels."""

import io

import numpy as np
from PIL import Image

SIZE = 64  # pixels of the example pictures
FILM = 4  # CSS pixels of each in a film: 256 / 64, about 224
SLIDER = 7  # and in the slider: 448 / 64


def shot(locator):
    """The pixels of an element, as they are on the screen."""
    with Image.open(io.BytesIO(locator.screenshot())) as image:
        return np.asarray(image.convert("RGB"))


def blocks(locator, zoom):
    """The middle of each enlarged pixel of a picture on the screen."""
    pixels = shot(locator)
    return pixels[zoom // 2 :: zoom, zoom // 2 :: zoom]


def bytes_of(image):
    """An image in [0, 1] as the screen has to show it, three equal channels of 8 bits."""
    return np.repeat(np.rint(image * 255).astype(np.uint8), 3, axis=-1)
