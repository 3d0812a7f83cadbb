"""Finds and reads radiographs, whatever kind of file they are in."""

import os
from pathlib import Path

from jxr.data.dicom import decode_dicom, is_dicom
from jxr.data.radiograph import Radiograph, read_content
from jxr.data.raster_files import decode_raster
from jxr.data.records import IMAGE_SUFFIXES, listing
from jxr.errors import UserError

__all__ = ["Radiograph", "find_radiographs", "read_radiograph"]


def read_radiograph(path: str | Path) -> Radiograph:
    """Reads a PNG, JPEG, TIFF or DICOM file; its content tells which, not its name.

    Raises:
        UserError: it is missing, damaged, or holds anything but one greyscale image.

    >>> import jxr, tempfile
    >>> from PIL import Image
    >>> path = tempfile.mkdtemp() + "/chest.png"
    >>> Image.new("L", (64, 48), 51).save(path)
    >>> radiograph = jxr.read_radiograph(path)
    >>> radiograph.pixels.shape, round(float(radiograph.pixels[0, 0, 0]), 3), radiograph.levels
    ((48, 64, 1), 0.2, 255)
    """
    content = read_content(path)
    decode = decode_dicom if is_dicom(content[:132], str(path)) else decode_raster
    return decode(content, str(path))


@listing()
def find_radiographs(folder: str | Path) -> list[Path]:
    """Lists the images below a folder, sorted by path.

    Images are files whose suffix says so, and DICOM files without a suffix, or named by a number as
    their UIDs are. Links to files count, a broken one too, so that whoever reads it says so; links
    to folders are not followed. Hidden files and folders, and DICOMDIR, are left out.

    Raises:
        UserError: there is no such folder, one cannot be listed, or there is no image.
    """
    folder = Path(folder)

    def fail(error: OSError) -> None:
        raise error  # which is told by `listing`; else the folder would be passed over

    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; check the path")
    found = []
    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(parent, name) for name in names if not name.startswith(".")]
        found += [path for path in paths if is_radiograph(path)]
    if not found:
        raise UserError(
            f"{folder}: no radiographs in it; give a folder of PNG, JPEG, TIFF or DICOM files"
        )
    return sorted(found)


def is_radiograph(path: Path) -> bool:
    """Says whether a file is an image by its suffix or, if it has none, by its first bytes."""
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return True
    if (suffix and not suffix[1:].isdigit()) or path.name == "DICOMDIR" or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return is_dicom(file.read(132), "")
    except OSError:
        return False
