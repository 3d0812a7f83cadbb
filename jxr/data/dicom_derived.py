"""DICOM files derived from others: the same image with other pixels."""

import copy
import hashlib
import io
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt16

from jxr.data.radiograph import decoding

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

# Of the pixels as they were, or of a file that is no more.
STALE = (
    *("InstanceCreationDate", "InstanceCreationTime", "InstanceCreatorUID"),
    *("SmallestPixelValueInSeries", "LargestPixelValueInSeries", "PixelDataProviderURL"),
    *("IconImageSequence", "DigitalSignaturesSequence", "MACParametersSequence"),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
)

# Ends of the transfer syntaxes that may lose something: JPEG baseline and extended, JPEG-LS
# near-lossless, JPEG 2000, HTJ2K.
LOSSY = tuple(f"1.2.840.10008.1.2.4.{end}" for end in (50, 51, 81, 91, 203))


def write_dicom(
    name: str,
    dataset: "FileDataset",
    raw: UInt16[np.ndarray, "height width"],
    stored: UInt16[np.ndarray, "height width"],
    values: UInt16[np.ndarray, "height width"],
    note: str,
) -> bytes:
    """Returns a derived DICOM file, uncompressed, Explicit VR Little Endian.

    Bits, sign, rescaling, windows and all else stay as they were, and so do pixels of the padding
    value. It is an instance of its own, in a series of its own of the same study, says that it is
    DERIVED, by `note` in its derivation description, and from which instance. The new UIDs follow
    from the old ones, the note and the pixels, and no time is noted, so that the same call makes
    the same file. An image that was once compressed with loss goes on to say so.

    Args:
        name: of the source, for messages.
        dataset: the source without its pixels.
        raw: what lay in the source's file for each pixel.
        stored: the source's values, counted from the lowest possible one.
        values: the new pixels, from black to white.
        note: what was done to the pixels.

    Raises:
        UserError: an element of the source cannot be written again.
    """
    with decoding(name, "written again"):
        new = copy.deepcopy(dataset)
        levels = 2 ** int(new.BitsStored) - 1
        if new.PhotometricInterpretation == "MONOCHROME1":
            values = levels - values
        values = np.where(padding(new, stored), stored, values)
        set_pixels(new, raw, values)
        set_identity(new, note.encode("ascii", "replace").decode())
        file = io.BytesIO()
        new.save_as(file, enforce_file_format=True)
        return file.getvalue()


def padding(dataset: "Dataset", stored: UInt16[np.ndarray, "height width"]) -> np.ndarray:
    """Returns which pixels are outside the image, as the padding value or range says."""
    if dataset.get("PixelPaddingValue") is None:
        return np.zeros(stored.shape, bool)
    first = int(dataset.PixelPaddingValue)
    limit = dataset.get("PixelPaddingRangeLimit")
    last = first if limit is None else int(limit)
    mask = 2 ** int(dataset.BitsStored) - 1
    sign = (mask + 1) // 2 if dataset.PixelRepresentation else 0
    # Some files give a signed value as an unsigned one.
    low, high = sorted(((first & mask) ^ sign, (last & mask) ^ sign))
    return (stored >= low) & (stored <= high)


def set_pixels(
    dataset: "Dataset",
    raw: UInt16[np.ndarray, "height width"],
    values: UInt16[np.ndarray, "height width"],
) -> None:
    """Puts values, counted from the lowest possible one, into the bits that the source had."""
    bits, allocated = int(dataset.BitsStored), int(dataset.BitsAllocated)
    mask, shift = 2**bits - 1, int(dataset.HighBit) + 1 - bits
    sign = 2 ** (bits - 1) if dataset.PixelRepresentation else 0
    field = values ^ np.uint16(sign)
    if sign:
        above = 2**allocated - (mask + 1 << shift)  # all bits there are as the sign
        others = np.where(field & sign != 0, np.uint16(above), np.uint16(0))
    else:
        others = raw & ~np.uint16(mask << shift)
    content = (field << shift | others).astype(f"<u{allocated // 8}").tobytes()
    content += b"\0" * (len(content) % 2)
    dataset.add_new("PixelData", "OB" if allocated == 8 else "OW", content)
    for keyword, extreme in (
        ("SmallestImagePixelValue", values.min()),
        ("LargestImagePixelValue", values.max()),
    ):
        if keyword in dataset:
            dataset.add_new(keyword, "SS" if sign else "US", int(extreme) - sign)


def set_identity(dataset: "FileDataset", note: str) -> None:
    """Makes the data set an instance of its own that says what it was derived from."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    digest = hashlib.sha256(dataset.PixelData).hexdigest()
    source = (dataset.get("SOPClassUID"), dataset.get("SOPInstanceUID"))
    if all(source):
        purpose = Dataset()
        purpose.CodeValue = "121322"
        purpose.CodingSchemeDesignator = "DCM"
        purpose.CodeMeaning = "Source image for image processing operation"
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = source
        reference.PurposeOfReferenceCodeSequence = [purpose]
        dataset.SourceImageSequence = [reference]
    dataset.SOPClassUID = source[0] or SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[str(source[1]), note, digest])
    series = dataset.get("SeriesInstanceUID") or f"{source[1]} {digest}"
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[str(series), note])

    old = dataset.get("ImageType") or ["", "PRIMARY"]
    dataset.ImageType = ["DERIVED", *([old] if isinstance(old, str) else old)[1:]]
    said = dataset.get("DerivationDescription")
    dataset.DerivationDescription = (f"{said}; {note}" if said else note)[-1024:]
    if dataset.file_meta.TransferSyntaxUID in LOSSY and "LossyImageCompression" not in dataset:
        dataset.LossyImageCompression = "01"
    for keyword in STALE:
        if keyword in dataset:
            delattr(dataset, keyword)

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta, dataset.preamble = meta, b"\0" * 128
