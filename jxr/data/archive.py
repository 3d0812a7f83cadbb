"""The published archive of the Guangzhou set: fetching it, and reading it without unpacking."""

import hashlib
import logging
import os
import re
import stat
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pooch

from jxr.data.radiograph import read_content
from jxr.data.records import IMAGE_SUFFIXES, Record, index_folder
from jxr.errors import UserError

# Kermany, Zhang and Goldbaum 2018, Mendeley Data rscbjbr9sj version 2 (CC BY 4.0).
FILE_NAME = "ChestXRay2017.zip"
URL = (
    "https://data.mendeley.com/public-files/datasets/rscbjbr9sj/files/"
    "f12eaf6d-6023-432f-acc9-80c9d7393433/file_downloaded"
)
# Mendeley publishes no checksum: this one is what public projects record that fetched the file.
SHA256 = "13efc055629733dbab07877f8b3c9f81097840dbcdaa326a8542322c2281ce36"

# Ten times the largest image of the set: an entry that unpacks to more is none of its images.
MAX_IMAGE_BYTES = 64 << 20


@dataclass(frozen=True)
class Source:
    """Labelled image files, in a folder or in an archive.

    Attributes:
        name: what errors call it.
        records: sorted by path.
        read: path of a record -> the bytes of its file; from several threads at once.
    """

    name: str
    records: tuple[Record, ...]
    read: Callable[[str], bytes]


def fetch_archive(cache_dir: str | Path, *, url: str = URL, sha256: str = SHA256) -> Path:
    """Downloads the archive (1.2 GB) once and returns its path.

    Whatever its checksum, the archive is kept: the known one is second-hand, so a difference is
    only warned of, each time.

    Args:
        cache_dir: where to keep the file; one that is there already is used without a download.
        url: where to fetch it, by HTTP.
        sha256: the checksum that the file should have.

    Raises:
        UserError: the download failed, or what came is no zip archive (it is not kept).
    """
    path = Path(cache_dir) / FILE_NAME
    if not path.exists():
        download(url, path)
    if not zipfile.is_zipfile(path):
        path.unlink()
        raise UserError(
            f"{url}: what came is no zip archive: try again later, or download {FILE_NAME} by hand"
            " and give its path"
        )
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        logging.getLogger(__name__).warning(
            "%s: its SHA-256 is %s, not the known %s (which is second-hand); compare the numbers of"
            " images with the published ones",
            path,
            found,
            sha256,
        )
    return path


def download(url: str, path: Path) -> None:
    """Downloads a file under a passing name, then renames it: no half file is ever taken for it."""
    passing = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            pooch.HTTPDownloader(progressbar=True, chunk_size=1 << 20)(url, passing, None)
            os.replace(passing, path)
        finally:
            passing.unlink(missing_ok=True)
    except OSError as error:  # among them those of requests
        raise UserError(
            f"cannot fetch {url} into {path.parent} ({type(error).__name__}): download"
            f" {path.name} by hand and give its path"
        ) from error


def open_source(path: str | Path) -> Source:
    """Opens the images of the set in a folder or in a zip archive, which is not unpacked.

    Args:
        path: laid out as `index_folder` says, with the same things ignored.

    Raises:
        UserError: there is no such layout, or it is neither folder nor zip archive, or the archive
            is damaged or holds entries that do not belong into one of images.
    """
    path = Path(path)
    if path.is_dir():
        return Source(str(path), index_folder(path), lambda name: read_content(path / name))
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; give {FILE_NAME} or its folder")
    return open_zip(path)


def open_zip(path: Path) -> Source:
    """Opens a zip archive of the set; every entry's name is checked, those of images are listed."""
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # zipfile fails on damaged archives in all kinds of ways
        raise UserError(
            f"{path}: neither a folder nor a readable zip archive ({error}); fetch it again, or"
            " unpack it and give the folder"
        ) from error
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        check_entry(path, entry)
        parts = entry.filename.split("/")
        junk = any(part.startswith((".", "__MACOSX")) for part in parts)
        if junk or Path(entry.filename).suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if entry.file_size > MAX_IMAGE_BYTES:
            raise UserError(
                f"{path}: {entry.filename} unpacks to {entry.file_size / 1e6:.0f} MB, which no"
                " image of the set does; fetch the archive again"
            )
        if not entry.filename.isprintable():
            raise UserError(
                f"{path}: the entry {entry.filename!r} has a name that no image of the set has;"
                " fetch the archive again"
            )
        if entry.filename in entries:
            raise UserError(f"{path}: {entry.filename} is there twice; fetch the archive again")
        entries[entry.filename] = entry

    def read(name: str) -> bytes:
        try:
            return archive.read(entries[name])
        except Exception as error:  # damaged, encrypted, or packed by an unknown method
            raise UserError(
                f"{path}/{name}: cannot be unpacked ({error}); fetch the archive again"
            ) from error

    return Source(str(path), index_entries(path, list(entries)), read)


def check_entry(path: Path, entry: zipfile.ZipInfo) -> None:
    """Raises UserError for an entry that would leave the folder it is unpacked into."""
    name = entry.orig_filename  # zipfile mends some of the names in `filename`
    reason = None
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        reason = "an absolute path"
    elif "\\" in name or "\0" in name:
        reason = "a path with a backslash or a zero"
    elif ".." in name.split("/"):
        reason = "a path out of the folder"
    elif stat.S_ISLNK(entry.external_attr >> 16):
        reason = "a symbolic link"
    if reason:
        raise UserError(
            f"{path}: the entry {name!r} is {reason}, so the archive is not to be trusted; fetch"
            " it again from its publisher"
        )


def index_entries(path: Path, names: list[str]) -> tuple[Record, ...]:
    """Lists the images of an archive by the rules of `index_folder`, which know only folders.

    So that there is one set of rules, the archive's files are laid out empty in a folder of their
    own; 5,856 of them take a third of a second.
    """
    with tempfile.TemporaryDirectory(prefix="jxr-archive-") as folder:
        try:
            for name in names:
                file = Path(folder, name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
            return index_folder(folder)
        except OSError as error:
            raise UserError(f"{path}: cannot be listed ({error.strerror}); unpack it") from error
        except UserError as error:
            raise UserError(str(error).replace(folder, str(path))) from None
