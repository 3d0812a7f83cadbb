"""Opens state dicts of PyTorch without PyTorch: both formats of `torch.save`, and safetensors."""

import hashlib
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from safetensors import safe_open

from jxr.errors import UserError
from jxr.models.torch_pickle import RefusedError, Storage, Tensor, unpickle

REMEDY = "give the state dict of torchvision's vgg16, as vgg16-397923af.pth or as safetensors"

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first of the pickles in PyTorch's format before 1.6
LEGACY_VERSION = 1001


class StoredTensor(NamedTuple):
    """A tensor in a file: its type and shape are known, its numbers are still to be read."""

    dtype: str  # as NumPy names it
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]  # UserError where the file is damaged


@contextmanager
def readable(path: Path, kind: str, remedy: str = REMEDY) -> Iterator[None]:
    """Turns every error of a reader into one line: damaged files fail in all kinds of ways."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path} is not a readable {kind} file: {remedy}") from error


def read_safetensors(path: Path, remedy: str = REMEDY) -> dict[str, StoredTensor]:
    """Returns the tensors of a safetensors file by name.

    Raises:
        UserError: the file is damaged.
    """

    def reader(name: str) -> Callable[[], np.ndarray]:
        def read() -> np.ndarray:
            with readable(path, "safetensors", remedy), safe_open(path, framework="numpy") as file:
                return file.get_tensor(name)

        return read

    tensors = {}
    with readable(path, "safetensors", remedy), safe_open(path, framework="numpy") as file:
        for name in file.keys():  # noqa: SIM118, it is no dictionary
            part = file.get_slice(name)
            dtype = {"F32": "float32", "F16": "float16"}.get(part.get_dtype(), part.get_dtype())
            tensors[name] = StoredTensor(dtype, tuple(part.get_shape()), reader(name))
    return tensors


def read_torch(path: Path) -> dict[str, StoredTensor]:
    """Returns the tensors of a state dict that `torch.save` wrote, by name.

    Nothing in the file is run (see `torch_pickle`). If the name ends in `-` and eight hexadecimal
    digits before `.pth`, the file's SHA-256 must begin with them: that is how PyTorch names what it
    publishes.

    Raises:
        UserError: the file is damaged, has another checksum than its name says, asks for anything
            else than tensors, or holds anything else than a dictionary of tensors.
    """
    check_name(path)
    with readable(path, "PyTorch"), path.open("rb") as file:
        reader = zip_reader if file.read(4) == ZIP_MAGIC else legacy_reader
        file.seek(0)
        try:
            state, read_span = reader(path, file)
        except RefusedError as error:
            raise UserError(f"{path} asks for {error}: {REMEDY}") from error
        return {name: stored(path, tensor, read_span) for name, tensor in state.items()}


def state_dict(path: Path, content: Any) -> dict[str, Tensor]:
    """Returns what a file holds, or raises UserError if it is no dictionary of tensors."""
    if type(content) is not dict or not content:
        raise UserError(f"{path} holds no state dict: {REMEDY}")
    for name, value in content.items():
        if type(value) is not Tensor:
            raise UserError(f"{path}: {name!r} is no tensor: {REMEDY}")
    return content


def check_name(path: Path) -> None:
    """Raises UserError if the file's name carries a checksum and the file has another one."""
    found = re.search(r"-([0-9a-f]{8})\.pth$", path.name)
    if found is None:
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(found[1]):
        raise UserError(
            f"{path} has the SHA-256 {digest[:8]}..., not {found[1]} as its name says: fetch it"
            " again, or rename it if these digits are no checksum"
        )


# (storage, first number, count) -> that many numbers, one-dimensional
ReadSpan = Callable[[Storage, int, int], np.ndarray]


def stored(path: Path, tensor: Tensor, read_span: ReadSpan) -> StoredTensor:
    """Returns the tensor with a function that reads it; strided views come as plain arrays."""
    storage, offset, shape, strides = tensor

    def read() -> np.ndarray:
        span = 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        with readable(path, "PyTorch"):
            if 0 in shape:
                return np.zeros(shape, storage.dtype)
            row = read_span(storage, offset, span)
            if len(row) != span:
                raise EOFError
            steps = [stride * row.itemsize for stride in strides]
            view = np.lib.stride_tricks.as_strided(row, shape, steps, writeable=False)
            return np.asarray(view, order="C")

    return StoredTensor(storage.dtype, shape, read)


def zip_reader(path: Path, file: BufferedIOBase) -> tuple[dict[str, Tensor], ReadSpan]:
    """Returns what a file of PyTorch 1.6 or later holds, and the reader of its storages.

    It is a ZIP archive of `NAME/data.pkl`, `NAME/byteorder` and a member `NAME/data/KEY` for each
    storage, all of them uncompressed; zipfile checks each member's CRC.
    """
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        (pickled,) = (name for name in members if re.fullmatch(r"[^/]+/data\.pkl", name))
        folder = pickled.removesuffix("data.pkl")
        if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
            raise ValueError(
                "compressed: PyTorch does not, and a small file could unpack to any size"
            )
        if f"{folder}byteorder" in members and archive.read(f"{folder}byteorder") != b"little":
            raise UserError(f"{path} has big-endian numbers: {REMEDY}")
        with archive.open(pickled) as stream:
            state = state_dict(path, unpickle(cast(BufferedIOBase, stream)))

    def read_span(storage: Storage, start: int, count: int) -> np.ndarray:
        with zipfile.ZipFile(path) as archive:
            data = archive.read(f"{folder}data/{storage.key}")
        if len(data) != storage.numel * storage.item_size:
            raise EOFError
        return np.frombuffer(data, little_endian(storage), count, start * storage.item_size)

    return state, read_span


def legacy_reader(path: Path, file: BufferedIOBase) -> tuple[dict[str, Tensor], ReadSpan]:
    """Returns what a file of PyTorch before 1.6 holds, and the reader of its storages.

    Five pickles follow each other: a magic number, a version, facts of the machine, the state dict,
    and the keys of the storages. Then come the storages, each a count (int64) and its numbers.
    """
    if unpickle(file) != LEGACY_MAGIC or unpickle(file) != LEGACY_VERSION:
        raise ValueError("another program's pickle")
    if unpickle(file)["little_endian"] is not True:
        raise UserError(f"{path} has big-endian numbers: {REMEDY}")
    state = state_dict(path, unpickle(file))
    keys = unpickle(file)
    storages = {tensor.storage.key: tensor.storage for tensor in state.values()}
    starts = {}  # in bytes, by key
    for key in keys:
        (count,) = np.frombuffer(file.read(8), "<i8")
        if count != storages[key].numel:
            raise ValueError("another size than the pickle says")
        starts[key] = file.tell()
        file.seek(storages[key].numel * storages[key].item_size, 1)

    def read_span(storage: Storage, start: int, count: int) -> np.ndarray:
        place = starts[storage.key] + start * storage.item_size
        return np.fromfile(path, little_endian(storage), count, offset=place)

    return state, read_span


def little_endian(storage: Storage) -> np.dtype:
    """Returns NumPy's type of a storage; TypeError for one that NumPy does not have."""
    return np.dtype(storage.dtype).newbyteorder("<")
