"""How large the compressed pixels of a DICOM file say they are, before anything unpacks them."""

from typing import TYPE_CHECKING

from jxr.errors import UserError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

JPEG_2000 = b"\xff\x4f\xff\x51"  # the start of a code stream, and of the segment of its size
# Markers of a JPEG or JPEG-LS frame, ITU-T T.81 table B.1 and T.87 table C.1.
FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}


def check_stream(dataset: "Dataset", name: str) -> None:
    """Raises UserError if the compressed pixels have another size than the file says.

    A decoder takes the memory for what the stream claims, which in a damaged one may be anything.
    """
    from pydicom.encaps import generate_frames

    stream = next(generate_frames(dataset.PixelData, number_of_frames=1))
    found, said = stream_size(stream), (int(dataset.Rows), int(dataset.Columns))
    if found != said:
        raise UserError(
            f"{name}: its compressed pixels are damaged, or not of {said[1]} x {said[0]} pixels as"
            " it says; copy or export it again"
        )


def stream_size(stream: bytes) -> tuple[int, int] | None:
    """Returns height and width that a JPEG, JPEG-LS or JPEG 2000 stream has; None if it has none.

    JPEG 2000 may be wrapped in a JP2 file, which DICOM does not allow and some programs write.
    """
    place = stream.find(JPEG_2000)
    if place >= 0 and not stream.startswith(b"\xff\xd8"):
        size = stream[place + 8 : place + 24]
        right, bottom, left, top = (int.from_bytes(size[i : i + 4]) for i in (0, 4, 8, 12))
        return bottom - top, right - left
    place = 2
    while place + 9 <= len(stream) and stream[place] == 0xFF:
        marker, length = stream[place + 1], int.from_bytes(stream[place + 2 : place + 4])
        if marker == 0xFF:  # filling
            place += 1
        elif marker in FRAMES:
            rows, columns = stream[place + 5 : place + 7], stream[place + 7 : place + 9]
            return int.from_bytes(rows), int.from_bytes(columns)
        else:
            place += 2 + length
    return None
