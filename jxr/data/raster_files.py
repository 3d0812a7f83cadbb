"""PNG, JPEG and TIFF files: their grey values, and new files with all that was said of them."""

import io
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt16
from PIL import Image, PngImagePlugin

from jxr.data.radiograph import MOST_PIXELS, Radiograph, check_size, decoding, from_levels
from jxr.data.tiff_files import bits_per_sample, is_signed, tiff_tags, white_is_zero, write_tiff
from jxr.errors import UserError

SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
# Modes in which grey comes, and in which it is written again.
WRITTEN_AS = {
    "1": "L",
    "L": "L",
    "P": "L",
    "PA": "L",
    "LA": "LA",
    "RGB": "RGB",
    "RGBA": "RGBA",
    **dict.fromkeys(SIXTEEN_BITS, "I;16"),
}

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Chunks that stay true though the pixels change, besides those that PNG itself marks as such.
PNG_COLOURS = (b"cHRM", b"cICP", b"gAMA", b"iCCP", b"sBIT", b"sRGB")


def decode_raster(content: bytes, name: str) -> Radiograph:
    """Reads a PNG, JPEG or TIFF file; what a JPEG becomes is a PNG.

    Grey of 8 and 16 bits, and grey in other clothes: three equal channels and opaque alpha come out
    as they were, palettes and 1 to 4 bits as 8 bits grey. A TIFF marked as turned is turned,
    as Pillow does; PNG and JPEG keep their pixels as stored, and the mark.

    Kept are: PNG's chunks of text, colour, resolution and Exif, and those that it marks as safe to
    copy; JPEG's resolution, ICC profile, Exif, XMP and comment; see `tiff_files` for TIFF.

    Args:
        content: of the file.
        name: its path, for messages.

    Raises:
        UserError: it is damaged, none of these, too large, in colour or transparent, of more than
            one picture, or has pixels of another kind.
    """
    with (
        decoding(name, "read as a PNG, JPEG or TIFF image"),
        open_raster(content, name) as image,
    ):
        check_size(name, image.height, image.width)
        if getattr(image, "n_frames", 1) != 1:
            raise UserError(f"{name}: holds several pictures; save each as a file of its own")
        check_depth(image, content, name)
        image.load()
        stored = grey_values(image, name)
        mode = WRITTEN_AS[image.mode]
        levels = 65_535 if mode == "I;16" else 255
        suffix = ".png"
        if image.format == "TIFF":
            if mode == "I;16" and white_is_zero(image):
                stored = 65_535 - stored
            suffix = ".tiff" if Path(name).suffix.lower() == ".tiff" else ".tif"
            write = partial(write_tiff, tiff_tags(image), image.info.get("compression"))
        elif image.format == "PNG":
            write = partial(write_png, png_metadata(content, image.mode), {})
        else:
            write = partial(write_png, b"", jpeg_metadata(image))
    return Radiograph(
        pixels=from_levels(stored, levels),
        levels=levels,
        pitch_mm=None,
        suffix=suffix,
        write=lambda values, note: write_dressed(name, write, values, mode, note),
    )


def open_raster(content: bytes, name: str) -> Image.Image:
    """Opens a file without decoding it, or raises UserError for more pixels than are read."""
    try:
        return Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "TIFF"))
    except Image.DecompressionBombError as error:
        raise UserError(
            f"{name}: more than the {MOST_PIXELS:,} pixels that are read; cut or reduce the image"
        ) from error


def check_depth(image: Image.Image, content: bytes, name: str) -> None:
    """Raises UserError for channels of which Pillow would keep 8 bits only, or none."""
    if image.mode == "F":
        raise UserError(f"{name}: floating-point pixels; save it with 8 or 16 bits")
    if image.mode == "I" or (image.format == "TIFF" and is_signed(image)):
        raise UserError(f"{name}: signed or 32-bit pixels; save it with 8 or 16 bits, unsigned")
    if image.mode not in WRITTEN_AS:
        raise UserError(f"{name}: a colour image ({image.mode}); save it as greyscale")
    if image.format == "PNG":
        bits = content[24]  # in the header, which is always the first chunk
    elif image.format == "TIFF":
        bits = bits_per_sample(image)
    else:
        bits = 8
    if bits > 8 and bits != 16:
        raise UserError(f"{name}: {bits} bits a pixel; save it with 8 or 16 bits")
    if bits > 8 and image.mode not in SIXTEEN_BITS:
        raise UserError(f"{name}: {bits} bits with colour or alpha; save it as 16-bit greyscale")


def grey_values(image: Image.Image, name: str) -> UInt16[np.ndarray, "height width"]:
    """Returns the stored grey values, or raises UserError if there is colour or transparency."""
    clear = image.info.get("transparency")
    if image.mode in SIXTEEN_BITS:
        stored = np.asarray(image).astype(np.uint16)
        transparent = clear is not None and bool((stored == clear).any())
    elif image.mode == "L" and clear is None:
        stored, transparent = np.asarray(image).astype(np.uint16), False
    else:
        red, green, blue, alpha = (np.asarray(band) for band in image.convert("RGBA").split())
        transparent = bool((alpha != 255).any())
        if not transparent and not (np.array_equal(red, green) and np.array_equal(red, blue)):
            raise UserError(f"{name}: a colour image; save it as greyscale")
        stored = red.astype(np.uint16)
    if transparent:
        raise UserError(f"{name}: has transparent pixels; save it without transparency")
    return stored


def write_dressed(
    name: str, write: Any, values: UInt16[np.ndarray, "height width"], mode: str, note: str
) -> bytes:
    """Writes grey values in the mode that they came in."""
    with decoding(name, "written again"):
        if mode == "I;16":
            return write(Image.fromarray(values), note)
        grey = Image.fromarray(values.astype(np.uint8))
        if mode == "L":
            return write(grey, note)
        opaque = Image.new("L", grey.size, 255)
        channels = {"LA": (grey, opaque), "RGB": (grey,) * 3, "RGBA": (grey,) * 3 + (opaque,)}
        return write(Image.merge(mode, channels[mode]), note)


def write_png(kept: bytes, options: dict[str, Any], image: Image.Image, note: str) -> bytes:
    """Returns a PNG file with the chunks `kept` and a chunk of text for the note."""
    text = PngImagePlugin.PngInfo()
    for keyword, value in (*options.get("text", ()), ("Comment", note)):
        text.add_itxt(keyword, value) if ":" in keyword else text.add_text(keyword, value)
    options = {key: value for key, value in options.items() if key != "text"}
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=text, **options)
    made = file.getvalue()
    behind_header = len(PNG_SIGNATURE) + 25
    return made[:behind_header] + kept + made[behind_header:]


def png_metadata(content: bytes, mode: str) -> bytes:
    """Returns the chunks that a PNG file with other pixels keeps, whole and in their order."""
    colours = () if mode in ("P", "PA") else PNG_COLOURS  # said of colours, they come out grey
    return b"".join(
        chunk
        for kind, chunk in png_chunks(content)
        if kind in colours or (kind not in PNG_COLOURS and kind[0] & 32 and kind[3] & 32)
    )


def png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the name and all bytes of each undamaged chunk."""
    place = len(PNG_SIGNATURE)
    while place + 12 <= len(content):
        end = place + 12 + int.from_bytes(content[place : place + 4])
        chunk = content[place:end]
        if zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:]):
            yield chunk[4:8], chunk
        place = end


def jpeg_metadata(image: Image.Image) -> dict[str, Any]:
    """Returns what a JPEG file says of its picture, as Pillow writes it into a PNG file."""
    found: dict[str, Any] = {key: image.info[key] for key in ("dpi", "exif") if key in image.info}
    profile = image.info.get("icc_profile")
    if profile and profile[16:20] == (b"GRAY" if image.mode == "L" else b"RGB "):
        found["icc_profile"] = profile
    found["text"] = []
    if "xmp" in image.info:
        found["text"].append(("XML:com.adobe.xmp", image.info["xmp"].decode("utf-8", "replace")))
    if "comment" in image.info:
        found["text"].append(("Comment", image.info["comment"].decode("latin-1")))
    return found
