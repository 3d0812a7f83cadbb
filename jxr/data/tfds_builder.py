"""The Guangzhou set as a TensorFlow Datasets builder, which needs no TensorFlow."""

import dataclasses
import functools
import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Float32, UInt8
from tensorflow_datasets.core.writer import ExampleWriter
from tensorflow_datasets.proto import tf_example_pb2

from jxr.data.archive import Source, fetch_archive, open_source
from jxr.data.image_set import fingerprint_line
from jxr.data.images import Resize, decode_image, resize
from jxr.data.records import LABELS, Record
from jxr.errors import UserError
from jxr.threads import cores

DESCRIPTION = """
5,856 chest X-rays of children of one to five years from Guangzhou Women and Children's Medical
Center: normal, bacterial pneumonia, viral pneumonia. The 16 images that Kaggle's copy calls
`val` are part of train.
"""
CITATION = """
@misc{kermany2018labeled,
  author = {Kermany, Daniel and Zhang, Kang and Goldbaum, Michael},
  title = {Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images for Classification},
  publisher = {Mendeley Data}, version = {2}, year = {2018}, doi = {10.17632/rscbjbr9sj.2}
}
"""

# Images a record file: about 100 MB of originals. TFDS holds one file's examples in memory.
PER_FILE = 512
CHUNK = 64  # images decoded ahead of the writer


@dataclasses.dataclass(eq=False)
class Form(tfds.core.BuilderConfig):
    """In which form the images are stored.

    Attributes:
        size: height and width in pixels; None keeps the files as they are.
        resize: how, see `jxr.data.images.resize`.
    """

    size: int | None = None
    resize: Resize = "antialias"


FORMS = (
    Form("original", description="The files as published."),
    Form("224", description="224x224, antialiased, 8 bits, not compressed.", size=224),
    Form(
        "224_bilinear",
        description="224x224, bilinear without antialiasing, 8 bits, not compressed.",
        size=224,
        resize="bilinear",
    ),
)


class ChestXrayGuangzhou(tfds.core.ShardBasedBuilder):
    """Builds the set from the archive, which is fetched unless a local one or a folder is given.

    Examples come sorted by path. Not a `GeneratorBasedBuilder`: that one holds a split in memory
    to shuffle it, and beyond 1,000 MiB turns to TensorFlow: the originals of train are more.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 (the type is that of the base)
    BUILDER_CONFIGS = list(FORMS)  # noqa: RUF012
    # No checksums of TFDS: `fetch_archive` has its own. (Looking for their file, TFDS 4.9.10
    # imports a package that it does not require, importlib_resources.)
    url_infos = None

    def __init__(
        self,
        *,
        source: str | Path | None = None,
        skip_broken: bool = False,
        progress: Callable[[int, int], None] | None = None,
        file_format: str = "array_record",
        **kwargs: Any,
    ):
        """Takes what every builder takes (`data_dir`, `config`, ...), and:

        Args:
            source: folder or zip archive of the set; None fetches the archive.
            skip_broken: leaves out images that cannot be decoded, with a warning that names each;
                otherwise the first one is a UserError.
            progress: called with (done, total) after each image.
            file_format: one that is read at random; others need TensorFlow.
            **kwargs: for `tfds.core.DatasetBuilder`.
        """
        self._source = source
        self._skip_broken = skip_broken
        self._progress = progress
        self._digests: dict[Record, bytes] = {}
        self._skipped: list[str] = []
        super().__init__(file_format=file_format, **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        size = self.builder_config.size
        if size is None:
            image: Any = tfds.features.Image(doc="the file's own bytes; grey or RGB")
        else:
            image = tfds.features.Tensor(
                shape=(size, size, 1), dtype=np.uint8, encoding=tfds.features.Encoding.BYTES
            )
        return tfds.core.DatasetInfo(
            builder=self,
            description=DESCRIPTION,
            citation=CITATION,
            homepage="https://doi.org/10.17632/rscbjbr9sj.2",
            license="CC BY 4.0",
            features=tfds.features.FeaturesDict(
                {
                    "image": image,
                    "label": tfds.features.ClassLabel(names=LABELS),
                    "patient": tfds.features.Text(doc="as the file's name tells it"),
                    "file_name": tfds.features.Text(doc="path, from the split's folder on"),
                }
            ),
            supervised_keys=("image", "label"),
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
        )

    def _example_writer(self) -> ExampleWriter:
        return OrderedWriter(self.info.file_format)

    def _shard_iterators_per_split(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Callable[[], Iterator[tuple[int, dict[str, Any]]]]]]:
        source = open_source(self._source or fetch_archive(Path(dl_manager.download_dir)))
        splits: dict[str, list[Record]] = {}
        for record in source.records:
            splits.setdefault(record.split, []).append(record)
        return {
            split: [
                functools.partial(self._examples, source, records[start : start + PER_FILE], start)
                for start in range(0, len(records), PER_FILE)
            ]
            for split, records in sorted(splits.items())
        }

    def _examples(
        self, source: Source, records: Sequence[Record], start: int
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yields the examples of one record file."""

        def attempt(record: Record) -> bytes | UInt8[np.ndarray, "size size 1"] | UserError:
            try:
                return self._stored(source, record)
            except UserError as error:
                return error

        total = len(source.records)
        with ThreadPoolExecutor(cores()) as pool:
            for first in range(0, len(records), CHUNK):
                chunk = records[first : first + CHUNK]
                for number, (record, image) in enumerate(
                    zip(chunk, pool.map(attempt, chunk), strict=True), start + first
                ):
                    name = short_path(record.path)
                    if isinstance(image, UserError):
                        if not self._skip_broken:
                            raise image
                        logging.getLogger(__name__).warning("left out: %s", image)
                        self._skipped.append(name)
                    else:
                        content = image if isinstance(image, bytes) else image.tobytes()
                        self._digests[record] = fingerprint_line(name, content)
                        yield (
                            number,
                            {
                                "image": image,
                                "label": record.label,
                                "patient": record.patient,
                                "file_name": name,
                            },
                        )
                    if self._progress is not None:
                        self._progress(len(self._digests) + len(self._skipped), total)

    def _stored(self, source: Source, record: Record) -> bytes | UInt8[np.ndarray, "size size 1"]:
        """Returns what is stored of one image, once it is known that it can be decoded."""
        content = source.read(record.path)
        image = decode_image(content, f"{source.name}/{record.path}")
        size = self.builder_config.size
        if size is None:
            return content
        return to_8bit(resize(image, (size, size), self.builder_config.resize))

    def _download_and_prepare(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig | None = None,
    ) -> None:
        self._digests.clear()
        self._skipped.clear()
        super()._download_and_prepare(dl_manager, download_config)
        for name, split in self.info.splits.items():
            if not split.num_examples:
                raise UserError(f"no image of {name} can be read; give an undamaged archive")
        # So that opening the set need not read it all: what each row is, and the fingerprint.
        records = sorted(self._digests)
        self.info.metadata.update(
            records=[
                [short_path(record.path), record.label, record.patient, record.split]
                for record in records
            ],
            fingerprint=hashlib.sha256(
                b"".join(self._digests[record] for record in records)
            ).hexdigest(),
            skipped=sorted(self._skipped),
        )


class OrderedWriter(ExampleWriter):
    """Writes the features of an example in the order of their names.

    Protocol buffers write a map in an order that changes with the process; so the same images make
    the same files, byte by byte.
    """

    def write(self, path: Any, examples: Iterable[tuple[Any, bytes]]) -> Any:
        """Writes one file."""
        return super().write(path, ((key, self._ordered(example)) for key, example in examples))

    @staticmethod
    def _ordered(example: bytes) -> bytes:
        return tf_example_pb2.Example.FromString(example).SerializeToString(deterministic=True)


def short_path(path: str) -> str:
    """Returns split folder, class folder and file: the same however deep an archive is nested."""
    return "/".join(path.split("/")[-3:])


def to_8bit(image: Float32[np.ndarray, "height width 1"]) -> UInt8[np.ndarray, "height width 1"]:
    """Rounds an image in [0, 1] to 8 bits: at most 1/510 off, mean squared error 1.3e-6."""
    return np.rint(image * np.float32(255)).astype(np.uint8)
