"""Prepares the Guangzhou images once as a TensorFlow data set, for all later runs.

python -m experiments.prepare --output=DIR [--source=ARCHIVE_OR_FOLDER] [--form=224]

Runs then take --config.data.path=DIR. Without --source the archive (1.2 GB) is fetched into the
folder --cache. The form `original` keeps the files as published; `224` holds 224x224 pixels of 8
bits (0.3 GB), which are read without decoding.
"""

import contextlib
import io
import signal
import sys

from absl import flags, logging

from experiments import cli

OUTPUT = flags.DEFINE_string(
    "output", None, "Folder for the data set; forms lie side by side in it.", required=True
)
SOURCE = flags.DEFINE_string(
    "source", None, "Zip archive or folder with the images; the archive is fetched if not given."
)
FORM = flags.DEFINE_enum("form", "original", ["original", "224"], "What to store.")
RESIZE = flags.DEFINE_enum(
    "resize", "antialias", ["antialias", "bilinear"], "How the form 224 is resized."
)
SKIP_BROKEN = flags.DEFINE_bool(
    "skip_broken", False, "Leave out images that cannot be decoded, instead of ending there."
)
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Prepares the data set, unless it is there already."""
    from tqdm import tqdm

    from jxr.data.archive import fetch_archive
    from jxr.data.tfds_prepare import folder_of, prepare
    from jxr.data.tfds_reader import is_prepared, tfds_set
    from jxr.errors import UserError

    form = FORM.value
    if RESIZE.value != "antialias":
        if form != "224":
            raise UserError(f"--resize={RESIZE.value} says how --form=224 is resized; give both")
        form = f"{form}_{RESIZE.value}"
    output = cli.path_of(OUTPUT)
    folder = folder_of(output, form)
    if is_prepared(folder):
        logging.info("%s: done before; it is left as it is", folder)
    else:
        # A signal ends the work as an exception does, so that nothing half done stays behind.
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        if SOURCE.value is not None:
            source = cli.path_of(SOURCE)
        else:
            source = fetch_archive(cli.path_of(cli.CACHE))
        with tqdm(desc="images", unit="image", disable=not sys.stderr.isatty()) as bar:

            def progress(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)
                if done % 500 == 0 or done == total:
                    logging.info("prepared %d of %d images", done, total)

            # What TFDS prints says mostly that it knows nothing of the size.
            with contextlib.redirect_stdout(io.StringIO()):
                prepare(source, output, form=form, skip_broken=SKIP_BROKEN.value, progress=progress)
    images = tfds_set(folder)
    for note in images.notes:
        logging.warning("%s", note)
    print(f"{len(images.records)} images, fingerprint {images.fingerprint}: {folder}")


if __name__ == "__main__":
    cli.run(main, workdir=False)
