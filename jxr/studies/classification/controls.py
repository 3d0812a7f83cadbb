"""What an image says without its lungs being read: brightness, sharpness, borders, a thumbnail.

Each control turns images into a few numbers, on which a linear classifier is all that is trained. A
score that a control reaches is no evidence that a network reads lungs.
"""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float, Float64
from scipy.fft import dctn

Images = Float[np.ndarray, "n size size 1"]

GRID = 16  # blocks along an axis of the thumbnail; 14 pixels each at 224
# Blocks that cover the lungs in nearly all chests (seen on training images): rows, columns.
LUNGS = (slice(1, 14), slice(2, 14))
# Octaves below Nyquist, in cycles a pixel along the steeper direction.
BANDS = ((1 / 16, 1 / 8), (1 / 8, 1 / 4), (1 / 4, 1 / 2))
FLOOR = (
    1e-14  # squared pixel values: below float32's rounding, so that a black image has a logarithm
)


def global_statistics(images: Images) -> Float64[np.ndarray, "n 10"]:
    """Ten numbers of the whole image.

    Args:
        images: values in [0, 1]; the size a multiple of 16.

    Returns:
        Mean and standard deviation; the same of the central quarter of the area; quantiles of 5
        and 95 %; mean absolute horizontal gradient, a pixel; mean brightness of a sixteenth of the
        image at the top, the bottom and the left.
    """
    pixels = images[..., 0].astype(np.float64)
    quarter, edge = pixels.shape[1] // 4, pixels.shape[1] // GRID
    centre = pixels[:, quarter:-quarter, quarter:-quarter]
    low, high = np.quantile(pixels, (0.05, 0.95), axis=(1, 2))
    columns = [
        pixels.mean(axis=(1, 2)),
        pixels.std(axis=(1, 2)),
        centre.mean(axis=(1, 2)),
        centre.std(axis=(1, 2)),
        low,
        high,
        mean_gradients(images)[:, 1],
        pixels[:, :edge].mean(axis=(1, 2)),
        pixels[:, -edge:].mean(axis=(1, 2)),
        pixels[:, :, :edge].mean(axis=(1, 2)),
    ]
    return np.stack(columns, axis=1)


def sharpness(images: Images) -> Float64[np.ndarray, "n 5"]:
    """Mean absolute gradients, and the power of three octaves of spatial frequency.

    Powers are those of the cosine transform, which mirrors the image at its edges as the blur does:
    the Fourier transform would see the jump between opposite edges as fine detail.

    Args:
        images: values in [0, 1].

    Returns:
        Mean absolute gradient along the vertical and the horizontal axis, a pixel; the logarithm to
        base 10 of the mean squared pixel value that each band of `BANDS` makes up.
    """
    pixels = images[..., 0].astype(np.float64)
    size = pixels.shape[1]
    power = dctn(pixels, axes=(1, 2), norm="ortho") ** 2 / size**2
    axis = np.arange(size) / (2 * size)  # cycles a pixel
    frequency = np.maximum(axis[:, None], axis)
    bands = [power[:, (low <= frequency) & (frequency < high)].sum(axis=1) for low, high in BANDS]
    return np.column_stack([mean_gradients(images), np.log10(np.stack(bands, axis=1) + FLOOR)])


def mean_gradients(images: Images) -> Float64[np.ndarray, "n 2"]:
    """Mean absolute difference of neighbouring pixels, below and beside each other."""
    pixels = images[..., 0].astype(np.float64)
    return np.stack(
        [np.abs(np.diff(pixels, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2)], axis=1
    )


def one_sharpness(images: Images) -> Float64[np.ndarray, " n"]:
    """The one number by which images are matched: the mean of both mean absolute gradients."""
    return mean_gradients(images).mean(axis=1)


def thumbnail(images: Images) -> Float64[np.ndarray, "n 256"]:
    """Means of 16 x 16 blocks, row by row.

    Args:
        images: values in [0, 1]; the size a multiple of 16.
    """
    return _blocks(images).reshape(len(images), -1)


def borders(images: Images) -> Float64[np.ndarray, "n 60"]:
    """The outermost ring of the thumbnail: a frame of 14 pixels at 224.

    Args:
        images: values in [0, 1]; the size a multiple of 16.
    """
    return _blocks(images)[:, _outside((slice(1, -1), slice(1, -1)))]


def lungs_masked(images: Images) -> Float64[np.ndarray, "n 100"]:
    """The thumbnail without the rectangle of `LUNGS`, heart and mediastinum included.

    Args:
        images: values in [0, 1]; the size a multiple of 16.
    """
    return _blocks(images)[:, _outside(LUNGS)]


CONTROLS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "global_statistics": global_statistics,
    "sharpness": sharpness,
    "borders": borders,
    "lungs_masked": lungs_masked,
    "thumbnail": thumbnail,
}


def _blocks(images: Images) -> Float64[np.ndarray, "n 16 16"]:
    block = images.shape[1] // GRID
    return images.reshape(-1, GRID, block, GRID, block).mean(axis=(2, 4), dtype=np.float64)


def _outside(blanked: tuple[slice, slice]) -> np.ndarray:
    kept = np.ones((GRID, GRID), bool)
    kept[blanked] = False
    return kept
