"""Images in, arrays and batches out: every kind of set, patient-level splits, decoding, Grain."""

from jxr.data.arrays import load_images
from jxr.data.csv_files import csv_set
from jxr.data.folders import folder_set
from jxr.data.image_set import ImageSet, data_fingerprint, file_set
from jxr.data.images import Resize, decode_image, read_image, resize
from jxr.data.medmnist import medmnist_set
from jxr.data.phantoms import phantom_set
from jxr.data.pipeline import batches, eval_batches
from jxr.data.radiographs import Radiograph, find_radiographs, read_radiograph
from jxr.data.records import (
    KNOWN_COUNTS,
    LABELS,
    Record,
    Split,
    check_counts,
    count_table,
    index_folder,
)
from jxr.data.splits import split_by_patient

__all__ = [
    "KNOWN_COUNTS",
    "LABELS",
    "ImageSet",
    "Radiograph",
    "Record",
    "Resize",
    "Split",
    "batches",
    "check_counts",
    "count_table",
    "csv_set",
    "data_fingerprint",
    "decode_image",
    "eval_batches",
    "file_set",
    "find_radiographs",
    "folder_set",
    "index_folder",
    "load_images",
    "medmnist_set",
    "phantom_set",
    "read_image",
    "read_radiograph",
    "resize",
    "split_by_patient",
]
