"""Building the Guangzhou set in a folder, once."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from jxr.data.tfds_builder import ChestXrayGuangzhou
from jxr.data.tfds_reader import NAME, is_prepared
from jxr.errors import UserError


def prepare(
    source: str | Path,
    output: str | Path,
    *,
    form: str = "original",
    skip_broken: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Builds the set in `output` and returns the folder of this form, for `tfds_set`.

    A form that is there already is left as it is.

    Args:
        source: folder or zip archive.
        output: the data directory, in the sense of TFDS.
        form: the name of one of `FORMS`.
        skip_broken, progress: as for the builder.

    Raises:
        UserError: the source cannot be used, an image is broken, or `output` not be written.
    """
    folder = folder_of(output, form)
    if folder.exists() and not is_prepared(folder):
        raise UserError(f"{folder} holds no prepared data set; remove it and prepare it again")
    try:
        builder = ChestXrayGuangzhou(
            data_dir=output, config=form, source=source, skip_broken=skip_broken, progress=progress
        )
        # Nothing is downloaded here, but TFDS makes the folder for it.
        with tempfile.TemporaryDirectory(prefix="jxr-downloads-") as downloads:
            builder.download_and_prepare(download_dir=downloads)
    except OSError as error:
        raise UserError(
            f"{output}: {error.strerror or error}; free space or choose another folder"
        ) from error
    return folder


def folder_of(output: str | Path, form: str) -> Path:
    """Returns where TFDS puts a form of the set in the data directory `output`."""
    return Path(output) / NAME / form / str(ChestXrayGuangzhou.VERSION)
