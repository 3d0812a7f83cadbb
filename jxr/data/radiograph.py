"""A radiograph as it was stored: its pixels, and the way back into a file of the same kind."""

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt16
from PIL import UnidentifiedImageError

from jxr.errors import UserError

MOST_PIXELS = 150_000_000  # a radiograph has up to about 20 million, a whole film scanned 100

# Python's filters of warnings belong to the process, not to the thread.
_filters = threading.Lock()


@dataclass(frozen=True)
class Radiograph:
    """One greyscale image of a file, linear in the stored values.

    Attributes:
        pixels: float32 in [0, 1], multiples of 1/levels. White is 1: where the file stores white as
            its lowest value (DICOM's MONOCHROME1, TIFF's WhiteIsZero), values are turned round.
        levels: the highest value that the file can store: 255, 65,535, or for DICOM
            2**BitsStored - 1.
        pitch_mm: the distance of pixel centres in millimetres, the same in both directions; None
            where the file does not say it. Dots per inch are for printers and count as nothing.
        suffix: of the file that `encode` makes.
        write: (levels, note) -> the content of a file; see `encode`.
        tones: what a viewer shows of each level, float32 in [0, 1]; None if just that level.
    """

    pixels: Float32[np.ndarray, "height width 1"]
    levels: int
    pitch_mm: float | None
    suffix: str
    write: Callable[[UInt16[np.ndarray, "height width"], str], bytes]
    tones: Float32[np.ndarray, " values"] | None = None

    def encode(self, pixels: Float32[np.ndarray, "height width 1"], note: str) -> bytes:
        """Returns a file of the same kind, depth and metadata with other pixels.

        Args:
            pixels: of the same size; clipped to [0, 1] and rounded to the levels.
            note: one line that the file carries: what was done to the pixels.

        Raises:
            UserError: the metadata cannot be written again.
            ValueError: the pixels have another size, or are not finite.
        """
        if pixels.shape != self.pixels.shape:
            raise ValueError(f"pixels of shape {pixels.shape}, not {self.pixels.shape}")
        if not np.isfinite(pixels).all():
            raise ValueError("pixels that are not finite")
        return self.write(to_levels(pixels, self.levels), note)

    def display(self) -> Float32[np.ndarray, "height width 1"]:
        """Returns the image as a viewer shows it first, in [0, 1]: white is 1."""
        if self.tones is None:
            return self.pixels
        return self.tones[to_levels(self.pixels, self.levels)][..., None]


def read_content(path: str | Path) -> bytes:
    """Returns the bytes of a file.

    Raises:
        UserError: it is missing or cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the file") from error
    except ValueError as error:  # a path with a zero byte, as damaged lists have
        raise UserError(f"{path}: cannot be read ({error}); check the path") from error


def to_levels(
    pixels: Float32[np.ndarray, "height width 1"], levels: int
) -> UInt16[np.ndarray, "height width"]:
    """Rounds an image to whole levels."""
    return np.rint(np.clip(pixels[..., 0], 0, 1) * np.float32(levels)).astype(np.uint16)


def from_levels(
    stored: UInt16[np.ndarray, "height width"], levels: int
) -> Float32[np.ndarray, "height width 1"]:
    """Returns whole levels as an image in [0, 1]."""
    return (stored.astype(np.float32) / np.float32(levels))[..., None]


def check_size(name: str, height: int, width: int) -> None:
    """Raises UserError for more pixels than any radiograph has: a small file can claim them."""
    if height * width > MOST_PIXELS:
        raise UserError(
            f"{name}: {width} x {height} pixels, more than the {MOST_PIXELS:,} that are read; cut"
            " or reduce the image"
        )


@contextmanager
def explained(name: str, doing: str) -> Iterator[None]:
    """Turns all that fails here into one line: decoders fail on damaged files in all kinds of ways.

    Args:
        name: of the file.
        doing: such as `read as a PNG image`.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if isinstance(error, UnidentifiedImageError):  # its text names our stream, not the file
            reason = "no known format"
        raise UserError(
            f"{name}: cannot be {doing} ({reason}); replace or remove the file"
        ) from error


@contextmanager
def decoding(name: str, doing: str) -> Iterator[None]:
    """Does what `explained` does, one file at a time, and silences warnings of how one is made."""
    with explained(name, doing), _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
