"""All images of a set as one array, decoded once and kept in a checked cache."""

import hashlib
import logging
import os
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from jxr.data.image_set import ImageSet
from jxr.data.images import Resize, resize
from jxr.errors import UserError
from jxr.files import exclusive, require_space
from jxr.threads import cores

Progress = Callable[[int, int], None]

# Images decoded ahead of the writer: bounds the memory, keeps every thread busy.
CHUNK = 128
# The version of the decoding: raised when it changes, so that older caches are not used.
VERSION = 2


def load_images(
    images: ImageSet,
    *,
    size: int = 224,
    resize: Resize = "antialias",
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Float32[np.ndarray, "n size size 1"]:
    """Decodes and resizes images in threads; DICOM files are decoded one at a time.

    Args:
        images: the set; its order is that of the result.
        size: height and width in pixels.
        resize: how, see `jxr.data.images.resize`.
        cache: a folder for the result, one .npy file for each (images, size, resize); files there
            are checked by their CRC-32 and rebuilt, with a warning, if damaged. Of several calls
            at once, one decodes and the others wait for it.
        progress: called with (done, total) after each decoded image.

    Returns:
        float32 in [0, 1], in memory, or memory-mapped and read-only with a cache.

    Raises:
        UserError: if an image cannot be read or the cache not be written.
    """
    decoded = decode(images, size, resize, progress)
    shape = (len(images.records), size, size, 1)
    if cache is None:
        result = np.empty(shape, np.float32)
        for i, image in enumerate(decoded):
            result[i] = image
        return result

    recipe = f"{images.fingerprint} {size} {resize} {VERSION}"
    stem = f"images-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    cache = Path(cache)
    found = find_cached(cache, stem, shape)
    if found is not None:
        return found
    busy = f"{cache}: another run is decoding these images"
    with exclusive(cache / f"{stem}.lock", busy, "--cache", wait=True):
        found = find_cached(cache, stem, shape)  # by who held the lock before
        if found is None:
            file = write_cache(cache, stem, shape, decoded)
            found = np.load(file, mmap_mode="r", allow_pickle=False)
    return found


def decode(
    images: ImageSet, size: int, method: Resize, progress: Progress | None
) -> Iterator[Float32[np.ndarray, "size size 1"]]:
    """Yields the images in the order of the records; Pillow decodes outside Python's lock."""

    def one(row: int) -> Float32[np.ndarray, "size size 1"]:
        return resize(images.read(row), (size, size), method)

    total = len(images.records)
    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, total, CHUNK):
            rows = range(start, min(start + CHUNK, total))
            for done, image in enumerate(pool.map(one, rows), start + 1):
                yield image
                if progress is not None:
                    progress(done, total)


def find_cached(
    cache: Path, stem: str, shape: tuple[int, ...]
) -> Float32[np.ndarray, "n size size 1"] | None:
    """Maps the cache file of this name, or removes what is damaged and returns None."""
    for file in sorted(cache.glob(f"{stem}-*.npy")):
        cached = open_cached(file, shape)
        if cached is not None:
            return cached
        logging.getLogger(__name__).warning("%s: damaged cache, decoding the images again", file)
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(
                f"{file}: damaged, and cannot be removed ({error.strerror}); choose another cache"
                " folder"
            ) from error
    return None


def open_cached(file: Path, shape: tuple[int, ...]) -> Float32[np.ndarray, "n size size 1"] | None:
    """Maps a cache file, or returns None if it is not what was once written."""
    try:
        images = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if images.shape != shape or images.dtype != np.float32:
        return None
    checksum = 0
    for start in range(0, len(images), CHUNK):
        checksum = zlib.crc32(images[start : start + CHUNK], checksum)
    return images if file.stem.endswith(f"-{checksum:08x}") else None


def write_cache(
    folder: Path, stem: str, shape: tuple[int, ...], images: Iterator[np.ndarray]
) -> Path:
    """Writes the images under a passing name, then renames: no reader ever sees half a file.

    The name is always the same, so that what a call left that was killed is written over.
    """
    passing = folder / f"{stem}.tmp"
    header = {"shape": shape, "fortran_order": False, "descr": "<f4"}
    try:
        require_space(folder, 4 * int(np.prod(shape)))
        try:
            checksum = 0
            # Plain writes, not a memory map: a full disk is then an error and not a crash.
            with passing.open("wb") as stream:
                np.lib.format.write_array_header_1_0(stream, header)
                for image in images:
                    pixels = image.astype("<f4").tobytes()
                    checksum = zlib.crc32(pixels, checksum)
                    stream.write(pixels)
            file = folder / f"{stem}-{checksum:08x}.npy"
            os.replace(passing, file)
        finally:
            passing.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}; choose another cache folder") from error
    return file
