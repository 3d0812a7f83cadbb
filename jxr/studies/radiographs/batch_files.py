"""One piece of work for each of many files: a bad file costs a line, not the others' results."""

import errno
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from absl import logging
from tqdm import tqdm

from jxr.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # what every other file would meet as well
LOG_EVERY = 100  # files


class Failure(NamedTuple):
    """A file that the work could not be done for, and the line that says why."""

    path: Path
    reason: str


def for_each_file(
    files: Sequence[Path], work: Callable[[Path], None], *, done: str
) -> list[Failure]:
    """Does `work` for each file; returns those that failed, after one line on stderr for each.

    Args:
        files: In the order of the work.
        work: Raises UserError if this file cannot be worked on.
        done: The past participle of what is done, for the progress display.

    Raises:
        UserError: nothing can be written any more, be it by an OSError of the work or by what
            `jxr.files.written` makes of one: the files after it are not tried.
    """
    failures = []
    quiet = not sys.stderr.isatty()
    with tqdm(total=len(files), desc=done, unit="file", disable=quiet) as bar:
        for number, path in enumerate(files, 1):
            try:
                work(path)
            except UserError as error:
                if isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL:
                    raise
                reason = " ".join(str(error).split())
                failures.append(Failure(path, reason))
                tqdm.write(f"error: {reason}", file=sys.stderr)
            except OSError as error:
                raise UserError(
                    f"{error.filename or path}: cannot write here ({error.strerror}), stopped after"
                    f" {number - 1} of {len(files)} files: make room, or give another --output"
                ) from error
            bar.update()
            if number % LOG_EVERY == 0:
                logging.info("%s %d of %d files", done, number - len(failures), len(files))
    return failures


def require_all(failures: Sequence[Failure], total: int, *, done: str) -> None:
    """Raises UserError, with a summary, if any of so many files failed."""
    if failures:
        raise UserError(
            f"{done} {total - len(failures)} of {total} files; the others are named above: mend or"
            " remove them"
        )
