"""Image files in, arrays and batches out: indexing, patient-level splits, decoding, Grain."""

from jxr.data.arrays import data_fingerprint, load_images
from jxr.data.images import Resize, read_image, resize
from jxr.data.pipeline import batches, eval_batches
from jxr.data.records import (
    KNOWN_COUNTS,
    LABELS,
    Label,
    Record,
    check_counts,
    count_table,
    index_folder,
)
from jxr.data.splits import split_by_patient

__all__ = [
    "KNOWN_COUNTS",
    "LABELS",
    "Label",
    "Record",
    "Resize",
    "batches",
    "check_counts",
    "count_table",
    "data_fingerprint",
    "eval_batches",
    "index_folder",
    "load_images",
    "read_image",
    "resize",
    "split_by_patient",
]
