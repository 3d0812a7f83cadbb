"""Reading one image file as luminance in [0, 1], and resizing it."""

import io
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from jxr.data.dicom import decode_dicom, is_dicom
from jxr.data.radiograph import explained, read_content
from jxr.data.tiff_files import bits_per_sample, is_signed, white_is_zero
from jxr.errors import UserError

Resize = Literal["antialias", "bilinear", "nearest"]


def read_image(path: str | Path) -> Float32[np.ndarray, "height width 1"]:
    """Reads an image file as luminance, see `decode_image`.

    Raises:
        UserError: if the file is missing, truncated, no image, several, or has pixels of another
            kind.
    """
    return decode_image(read_content(path), str(path))


def decode_image(content: bytes, name: str) -> Float32[np.ndarray, "height width 1"]:
    """Decodes the bytes of an image file as luminance.

    A DICOM file comes as a viewer shows it, see `jxr.data.dicom`.

    Colours are reduced by the ITU-R 601-2 weights, rounded to 8 bits (Pillow's `convert('L')`), so
    three equal channels give exactly that channel. Transparency is ignored. An image that lies on
    its side or head, as its Exif says, is turned, as viewers do.

    Args:
        content: a JPEG, PNG or TIFF file (or another that Pillow reads), 8 or 16 bits a channel, or
            a DICOM file of one greyscale frame.
        name: what errors call it.

    Returns:
        float32 in [0, 1]: 8-bit values over 255, 16-bit greyscale values over 65,535, DICOM's as
        windowed.

    Raises:
        UserError: if it is truncated, no image, several, or has pixels of another kind.
    """
    if is_dicom(content[:132], name):
        return decode_dicom(content, name).display()
    with explained(name, "read as an image"), Image.open(io.BytesIO(content)) as image:
        if image.mode == "F":
            raise UserError(f"{name}: floating-point pixels; save it with 8 or 16 bits")
        # The other pictures of a camera's JPEG (MPO) are previews of the first.
        if getattr(image, "n_frames", 1) != 1 and image.format != "MPO":
            raise UserError(f"{name}: holds several pictures; save each as a file of its own")
        check_tiff_bits(image, name)
        ImageOps.exif_transpose(image, in_place=True)
        sixteen_bit = image.mode.startswith("I")
        pixels = np.asarray(image if sixteen_bit else image.convert("L"))
        if image.mode == "I;16" and image.format == "TIFF" and white_is_zero(image):
            pixels = 65_535 - pixels  # Pillow turns those of 8 bits
    if sixteen_bit and (pixels.min() < 0 or pixels.max() > 65_535):
        raise UserError(f"{name}: 32-bit pixels beyond 65535; save it with 8 or 16 bits")
    full_scale = np.float32(65_535 if sixteen_bit else 255)
    return (pixels.astype(np.float32) / full_scale)[..., None]


def check_tiff_bits(image: Image.Image, name: str) -> None:
    """Raises UserError for a TIFF file whose values Pillow gives, but not on what scale."""
    if not isinstance(image, TiffImageFile):
        return
    bits, signed = bits_per_sample(image), is_signed(image)
    if 8 < bits < 16 or (bits <= 16 and signed):
        kind = f"signed {bits}-bit pixels" if signed else f"{bits} bits a pixel"
        raise UserError(f"{name}: {kind}; save it with 8 or 16 bits, unsigned")


def resize(
    image: Float32[np.ndarray, "height width 1"],
    size: tuple[int, int],
    method: Resize = "antialias",
) -> Float32[np.ndarray, "new_height new_width 1"]:
    """Resizes an image; the aspect ratio is not kept. All methods align half-pixel centres.

    Args:
        image: any value range; the result stays within it.
        size: (height, width) in pixels.
        method: 'antialias', Pillow's BILINEAR: a triangle filter that widens with the reduction;
            'bilinear', two-point interpolation without antialiasing, as in
            `torch.nn.functional.interpolate(align_corners=False)`; 'nearest', Pillow's NEAREST.

    Returns:
        The resized image; the very same array if it already has that size.

    Raises:
        ValueError: the method is none of these.
    """
    if image.shape[:2] == size:
        return image
    if method == "bilinear":
        return interpolate(interpolate(image, size[0], axis=0), size[1], axis=1)
    if method not in ("antialias", "nearest"):
        raise ValueError(f"unknown resize method {method!r}; use antialias, bilinear or nearest")
    resample = Image.Resampling.BILINEAR if method == "antialias" else Image.Resampling.NEAREST
    height, width = size
    return np.asarray(Image.fromarray(image[..., 0]).resize((width, height), resample))[..., None]


def interpolate(
    image: Float32[np.ndarray, "height width 1"], length: int, *, axis: int
) -> Float32[np.ndarray, "new_height new_width 1"]:
    """Interpolates linearly along one axis, between the two nearest pixel centres."""
    old = image.shape[axis]
    position = np.clip((np.arange(length) + 0.5) * old / length - 0.5, 0, old - 1)
    low = np.floor(position).astype(np.intp)
    weight = np.expand_dims((position - low).astype(np.float32), tuple({0, 1, 2} - {axis}))
    left = image.take(low, axis)
    right = image.take(np.minimum(low + 1, old - 1), axis)
    return left + weight * (right - left)
