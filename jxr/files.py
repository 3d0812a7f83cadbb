"""Files that are whole or not there, JSON and arrays among them; locks; full disks."""

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from jxr.errors import UserError

NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)


@contextmanager
def exclusive(path: Path, busy: str, flag: str, *, wait: bool = False) -> Iterator[None]:
    """Holds a lock file, which the system lets go of however the process ends.

    Where the file system knows no locks, there is a warning and no lock.

    Args:
        path: The lock file; it stays behind, empty.
        busy: What is said if another process holds it.
        flag: The flag that names another place, such as `--cache`.
        wait: Whether to wait for another process that holds it.

    Raises:
        UserError: another process holds it, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise UserError(
            f"{path}: cannot write here ({error.strerror}): give another {flag}"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if not wait:
                raise UserError(f"{busy} ({path}): wait for it, or give another {flag}") from error
            logging.info("%s: waiting for it", busy)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            logging.warning("%s: no locks here (%s): start no second run", path, error.strerror)
        yield


def training_lock(directory: Path) -> AbstractContextManager[None]:
    """Holds a run directory while a model is trained in it; see `exclusive`."""
    busy = f"{directory}: another run is training here"
    return exclusive(directory / "train.lock", busy, "--workdir")


def require_space(folder: Path, needed: int) -> None:
    """Raises UserError if `folder` cannot take `needed` more bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder}: {needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free: make room, or give"
            " another --cache"
        )


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that a crash leaves either the old file or the new one; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Turns what the system says of a failed write into a line that says what to do."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: cannot write here ({error.strerror}): make room or give another place, then"
            " run again to go on"
        ) from error


def write_json(path: Path, values: Any) -> None:
    """Writes JSON so that a crash leaves either the old file or the new one.

    Raises:
        UserError: it cannot be written here.
    """
    content = (json.dumps(values, indent=1, allow_nan=False) + "\n").encode()
    with written(path):
        write_whole(path, content)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an .npz file so that a crash leaves either the old file or the new one.

    Raises:
        UserError: it cannot be written here.
    """
    unfinished = path.with_name(f"unfinished-{path.name}")
    with written(path):
        np.savez(unfinished, **dict(arrays))  # type: ignore[arg-type]
        os.replace(unfinished, path)


def read_json(path: Path) -> dict[str, Any]:
    """Returns what `write_json` wrote.

    Raises:
        UserError: the file is damaged.
    """
    try:
        values = json.loads(path.read_text())
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise UserError(f"{path}: damaged: put back a copy, or give another --workdir")
    return values
