"""DICOM files of one greyscale image, read by pydicom: stored values, and what a viewer shows."""

import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float32, UInt16
from scipy.special import expit

from jxr.data.dicom_derived import write_dicom
from jxr.data.dicom_streams import check_stream
from jxr.data.radiograph import Radiograph, check_size, decoding, from_levels
from jxr.errors import UserError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

DEFLATED = b"1.2.840.10008.1.2.1.99"
REMEDY = "save it as Explicit VR Little Endian"
PACKAGES = "pip install -e '.[dicom]'"


def is_dicom(head: bytes, name: str) -> bool:
    """Says whether a file of these first bytes (132 or more) and this name is meant as DICOM."""
    return head[128:132] == b"DICM" or Path(name).suffix.lower() == ".dcm"


def decode_dicom(content: bytes, name: str) -> Radiograph:
    """Reads a DICOM file of one greyscale frame of 8 to 16 bits, compressed or not.

    Its pixels are the stored values from their lowest to their highest possible one, turned round
    where the lowest is white (MONOCHROME1). `display` applies rescaling or modality LUT, then the
    first VOI LUT or else the first window; without either, as the standard says, the whole range
    that the bits can store goes from black to white. A window of no width counts as none.

    What `encode` makes is described in `dicom_derived`.

    Args:
        content: of the file.
        name: its path, for messages.

    Raises:
        UserError: pydicom or a decoder is missing; the file is damaged or cut short; it has no
            pixels, or those of several frames, in colour, or of another kind.
    """
    require_pydicom(name)
    import pydicom
    import pydicom.pixels
    from pydicom.uid import RLELossless

    if DEFLATED in content[132:2048]:
        raise UserError(f"{name}: a deflated DICOM file, which is not read; {REMEDY}")
    with decoding(name, "read as a DICOM image"):
        dataset = pydicom.dcmread(io.BytesIO(content), force=True)
        check_image(dataset, name)
        check_syntax(dataset, name)
        syntax = dataset.file_meta.TransferSyntaxUID
        run_lengths = syntax == RLELossless
        if syntax.is_encapsulated and not run_lengths:
            check_stream(dataset, name)
        raw = pydicom.pixels.pixel_array(
            dataset,
            raw=True,
            # pydicom would clear unused bits, in which old files have overlays.
            correct_unused_bits=False,
            # pylibjpeg-rle panics on damaged streams.
            decoding_plugin="pydicom" if run_lengths else "",
        )
        raw = raw.view(f"u{raw.itemsize}").astype(np.uint16)
        del dataset.PixelData
        stored = stored_values(dataset, raw, name)
        levels = 2 ** int(dataset.BitsStored) - 1
        tones = shown_tones(dataset, levels)
        shown = stored
        if dataset.PhotometricInterpretation == "MONOCHROME1":
            shown, tones = levels - stored, 1 - tones[::-1]
        pitch = pixel_pitch(dataset)
    return Radiograph(
        pixels=from_levels(shown, levels),
        levels=levels,
        pitch_mm=pitch,
        suffix=".dcm",
        write=lambda values, note: write_dicom(name, dataset, raw, stored, values, note),
        tones=tones,
    )


def require_pydicom(name: str) -> None:
    """Raises UserError without pydicom; with it, silences what it logs of how a file is made."""
    try:
        import pydicom  # noqa: F401
    except ImportError as error:
        raise UserError(f"{name}: reading DICOM needs pydicom: {PACKAGES}") from error
    for logger in ("pydicom", "pylibjpeg", "openjpeg"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)


def check_image(dataset: "Dataset", name: str) -> None:
    """Raises UserError unless the data set is one greyscale image of 8 to 16 bits."""
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise UserError(f"{name}: floating-point pixels; save it with 8 to 16 bits")
    if "Rows" not in dataset or "Columns" not in dataset or "PixelData" not in dataset:
        raise UserError(f"{name}: holds no pixels, or is cut short; give a whole DICOM image")
    check_size(name, int(dataset.Rows), int(dataset.Columns))
    if int(dataset.get("NumberOfFrames") or 1) != 1:
        raise UserError(f"{name}: {dataset.NumberOfFrames} frames; give files of one frame each")
    kind = dataset.get("PhotometricInterpretation")
    if kind not in ("MONOCHROME1", "MONOCHROME2") or dataset.get("SamplesPerPixel", 1) != 1:
        raise UserError(f"{name}: not greyscale ({kind}); give MONOCHROME1 or MONOCHROME2")
    allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    if allocated not in (8, 16) or not 8 <= stored <= allocated:
        raise UserError(f"{name}: {stored} bits in {allocated}; only 8 to 16 bits are read")
    if not stored <= int(dataset.HighBit) + 1 <= allocated:
        raise UserError(f"{name}: its high bit contradicts its {stored} bits; export it again")
    if dataset.PixelRepresentation not in (0, 1):
        raise UserError(f"{name}: neither signed nor unsigned pixels; export it again")


def check_syntax(dataset: "FileDataset", name: str) -> None:
    """Raises UserError for a transfer syntax that nothing here reads; adds one that is missing."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    implicit, little = dataset.original_encoding
    if not little:
        raise UserError(f"{name}: a big-endian DICOM file, which is not read; {REMEDY}")
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = (
            ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        )
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise UserError(f"{name}: compressed as {syntax.name}, not read; {REMEDY}") from error
    if not decoder.is_available:
        raise UserError(f"{name}: {syntax.name} needs more packages: {PACKAGES}")


def stored_values(
    dataset: "Dataset", raw: UInt16[np.ndarray, "height width"], name: str
) -> UInt16[np.ndarray, "height width"]:
    """Returns the stored values, counted from the lowest that the bits can store.

    Raises:
        UserError: there is something above the stored bits, and it is neither sign nor overlay.
    """
    bits, signed = int(dataset.BitsStored), bool(dataset.PixelRepresentation)
    mask, shift = 2**bits - 1, int(dataset.HighBit) + 1 - bits
    field = (raw >> shift) & mask
    sign = 2 ** (bits - 1) if signed else 0
    others = raw & ~np.uint16(mask << shift)
    if signed:
        above = 2 ** int(dataset.BitsAllocated) - (mask + 1 << shift)
        others = np.where((field & sign != 0) & (others == above), 0, others)
    if others.any() and not overlays_in_pixels(dataset):
        raise UserError(f"{name}: pixels of more than its {bits} bits stored; export it again")
    return field ^ np.uint16(sign)


def overlays_in_pixels(dataset: "Dataset") -> bool:
    """Says whether an overlay lies in unused bits of the pixels, as before 2004."""
    groups = range(0x6000, 0x6020, 2)
    return any((group, 0x0100) in dataset and (group, 0x3000) not in dataset for group in groups)


def shown_tones(dataset: "Dataset", levels: int) -> Float32[np.ndarray, " values"]:
    """Returns what a viewer shows of each stored value from the lowest on, before inversion."""
    values = np.arange(levels + 1, dtype=np.float64)
    if dataset.PixelRepresentation:
        values -= (levels + 1) // 2
    if dataset.get("ModalityLUTSequence"):
        values, _ = look_up(dataset.ModalityLUTSequence[0], values)
    else:
        slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
        values = values * (1 if slope is None else slope) + (intercept or 0)
    if dataset.get("VOILUTSequence"):
        values, highest = look_up(dataset.VOILUTSequence[0], values)
        shown = values / highest
    else:
        shown = windowed(dataset, values)
    if not np.isfinite(shown).all():
        raise ValueError("rescaling by zero or to infinity")
    return np.clip(shown, 0, 1).astype(np.float32)


def windowed(
    dataset: "Dataset", values: Float[np.ndarray, " values"]
) -> Float[np.ndarray, " values"]:
    """Applies the first window (PS3.3 C.11.2.1.2 and C.11.2.1.3), or else the whole range."""
    centre, width = number(dataset, "WindowCenter"), number(dataset, "WindowWidth")
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    narrowest = 1.0 if function == "LINEAR" else np.finfo(np.float32).tiny
    if centre is None or width is None or not width >= narrowest:
        lowest, highest = values.min(), values.max()
        return (values - lowest) / (highest - lowest)
    if function == "SIGMOID":
        return expit(4 * (values - centre) / width)
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1
    if width == 0:
        return (values > centre).astype(np.float64)
    return (values - centre) / width + 0.5


def look_up(
    item: "Dataset", values: Float[np.ndarray, " values"]
) -> tuple[Float[np.ndarray, " values"], int]:
    """Returns the values that a LUT has for these, and the highest that its bits can hold."""
    count, first, bits = (int(part) for part in item.LUTDescriptor)
    data: Any = item.LUTData
    if isinstance(data, bytes):
        data = np.frombuffer(data, "<u2" if len(data) >= 2 * (count or 65_536) else "u1")
    table = np.asarray(data, np.float64)[: count or 65_536]
    places = np.clip(np.rint(values) - first, 0, len(table) - 1).astype(np.intp)
    return table[places], 2**bits - 1


def number(dataset: "Dataset", keyword: str) -> float | None:
    """Returns the first number of an element, None where it is missing or empty."""
    element = dataset.get(keyword)
    if element is None or element == "":
        return None
    values = np.atleast_1d(np.asarray(element, np.float64))
    return float(values[0]) if values.size else None


def pixel_pitch(dataset: "Dataset") -> float | None:
    """Returns the distance of pixels at the detector, or else what the file says of the patient."""
    spacing = dataset.get("ImagerPixelSpacing") or dataset.get("PixelSpacing")
    if not spacing or len(spacing) != 2:
        return None
    rows, columns = float(spacing[0]), float(spacing[1])
    same = np.isfinite(rows) and rows > 0 and np.isclose(rows, columns, rtol=1e-4, atol=0)
    return rows if same else None
