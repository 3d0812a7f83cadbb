"""What a TIFF file says besides its pixels, and writing it again."""

import io

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

LOSSLESS = ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate")

BITS, PREDICTOR, SOFTWARE, PHOTOMETRIC, SAMPLE_FORMAT = 258, 317, 305, 262, 339
DIFFERENCES = 2  # the predictor for whole numbers, which compresses 16 bits better
# Tags that say how and where the pixels lie in the file, what they look like, or where other
# directories begin: the new file has its own, or none. Pillow has turned the picture (274).
STRUCTURE = {
    *(254, 255, 256, 257, BITS, 259, PHOTOMETRIC, 263, 264, 265, 266, 273, 274, 277, 278, 279),
    *(280, 281, 284, 288, 289, 290, 291, 292, 293, 301, 318, 319, 320, 322, 323, 324),
    *(325, 326, 327, 328, 330, 332, 338, SAMPLE_FORMAT, 340, 341, 342, 347, 512, 513, 514, 515),
    *(517, 518, 519, 520, 521, 529, 530, 531, 532, 34665, 34853, 40965),
}


def white_is_zero(image: Image.Image) -> bool:
    """Says whether the file stores white as its lowest value."""
    return image.tag_v2.get(PHOTOMETRIC) == 0  # type: ignore[attr-defined]


def bits_per_sample(image: Image.Image) -> int:
    """Returns the bits of the widest channel of a TIFF file."""
    return int(max(np.atleast_1d(image.tag_v2.get(BITS, 1))))  # type: ignore[attr-defined]


def is_signed(image: Image.Image) -> bool:
    """Says whether a TIFF file has signed values: of 8 bits, Pillow takes them for unsigned."""
    return 2 in np.atleast_1d(image.tag_v2.get(SAMPLE_FORMAT, 1))  # type: ignore[attr-defined]


def tiff_tags(image: Image.Image) -> ImageFileDirectory_v2:
    """Returns the tags that a file with other pixels keeps."""
    found = image.tag_v2  # type: ignore[attr-defined]
    kept = ImageFileDirectory_v2()
    for tag, value in found.items():
        if tag not in STRUCTURE and (tag != PREDICTOR or value == DIFFERENCES):
            # As text, Pillow would write what is not ASCII as question marks.
            kept[tag] = value.encode("latin-1") if isinstance(value, str) else value
            kept.tagtype[tag] = found.tagtype[tag]
    return kept


def write_tiff(
    tags: ImageFileDirectory_v2, compression: str | None, image: Image.Image, note: str
) -> bytes:
    """Returns a TIFF file of black as zero, with the note behind what the tag Software says.

    A lossless compression is kept, any other becomes deflate.
    """
    written = ImageFileDirectory_v2()
    for tag, value in tags.items():
        written[tag] = value
        written.tagtype[tag] = tags.tagtype[tag]
    before = tags.get(SOFTWARE, b"")
    said = note.encode("ascii", "replace")
    written[SOFTWARE] = before + b"; " + said if before else said
    file = io.BytesIO()
    kind = {"tiff_deflate": "tiff_adobe_deflate"}.get(compression or "raw", compression or "raw")
    image.save(
        file,
        "TIFF",
        tiffinfo=written,
        compression=kind if kind in LOSSLESS else "tiff_adobe_deflate",
    )
    return file.getvalue()
