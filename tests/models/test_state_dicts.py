"""State dicts in files: `torch.save` in both formats, the format of 2017, safetensors, damage."""

import hashlib
import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from jxr.errors import UserError
from jxr.models.state_dicts import read_safetensors, read_torch

ZIP = [pytest.param(True, id="zip"), pytest.param(False, id="legacy")]


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def arrays(path: Path) -> dict[str, np.ndarray]:
    return {name: tensor.read() for name, tensor in read_torch(path).items()}


def one_line(error: pytest.ExceptionInfo) -> None:
    assert "\n" not in str(error.value)
    assert "give the state dict of torchvision's vgg16" in str(error.value)


@pytest.mark.torch
@pytest.mark.parametrize("zipped", ZIP)
def test_every_view_that_torch_saves(tmp_path, torch, zipped) -> None:
    base = torch.arange(60.0)
    shared = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    state = OrderedDict(
        whole=base,
        offset=base[7:19],
        strided=base[3:50:4],
        transposed=shared.T,
        same_storage=shared[1:, 2:5],
        parameter=torch.nn.Parameter(shared[2]),
        expanded=torch.ones(1, 3).expand(5, 3),
        channels_last=torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        scalar=torch.tensor(3.5),
        empty=torch.zeros(0, 4),
    )
    path = tmp_path / "state.pth"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    found = arrays(path)
    assert list(found) == list(state)
    for name, tensor in state.items():
        np.testing.assert_array_equal(found[name], tensor.detach().numpy(), strict=True)
        assert found[name].flags.c_contiguous


@pytest.mark.torch
@pytest.mark.parametrize("zipped", ZIP)
def test_state_dict_of_a_module_with_its_metadata(tmp_path, torch, zipped) -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(5, 2))
    path = tmp_path / "state.pth"
    assert module.state_dict()._metadata
    torch.save(module.state_dict(), path, _use_new_zipfile_serialization=zipped)
    found = arrays(path)
    for name, tensor in module.state_dict().items():
        np.testing.assert_array_equal(found[name], tensor.numpy(), strict=True)


@pytest.mark.torch
@pytest.mark.parametrize("zipped", ZIP)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_other_pickle_protocols(tmp_path, torch, zipped, protocol) -> None:
    path = tmp_path / "state.pth"
    torch.save(
        {"a": torch.arange(3.0)},
        path,
        _use_new_zipfile_serialization=zipped,
        pickle_protocol=protocol,
    )
    np.testing.assert_array_equal(arrays(path)["a"], [0, 1, 2])


@pytest.mark.torch
@pytest.mark.parametrize("zipped", ZIP)
def test_other_types_are_named(tmp_path, torch, zipped) -> None:
    state = {
        "half": torch.arange(4.0).half(),
        "bfloat": torch.arange(4.0).bfloat16(),
        "double": torch.arange(4.0).double(),
        "long": torch.arange(4),
        "float": torch.arange(5.0),
    }
    path = tmp_path / "state.pth"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    found = read_torch(path)
    assert {name: tensor.dtype for name, tensor in found.items()} == {
        "half": "float16",
        "bfloat": "bfloat16",
        "double": "float64",
        "long": "int64",
        "float": "float32",
    }
    np.testing.assert_array_equal(found["half"].read(), np.arange(4, dtype=np.float16))
    np.testing.assert_array_equal(found["float"].read(), np.arange(5.0))  # behind all the others


@pytest.mark.torch
@pytest.mark.parametrize("zipped", ZIP)
def test_what_is_no_state_dict(tmp_path, torch, zipped) -> None:
    weight = torch.arange(3.0)
    module = torch.nn.Linear(2, 2)
    for content, message in (
        ([weight], "holds no state dict"),
        (weight, "holds no state dict"),
        ({}, "holds no state dict"),
        ({"epoch": 3, "state_dict": {"a": weight}}, "'epoch' is no tensor"),
        ({"state_dict": {"a": weight}}, "'state_dict' is no tensor"),
        ({"a": weight.int()}, "asks for 'torch.IntStorage'"),
        ({"a": weight.to_sparse()}, "asks for 'torch._utils._rebuild_sparse_tensor'"),
        ({3: weight}, "not a readable PyTorch file"),
    ):
        path = tmp_path / "state.pth"
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(UserError, match=message) as error:
            read_torch(path)
        one_line(error)
    torch.save(module, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r"state\.pth (asks for|is not)") as error:
        read_torch(path)
    one_line(error)


class Reduced:
    """Pickles as the call of `function`, with a state if there is one."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


def write_as_in_2017(torch, path: Path, state: dict[str, np.ndarray], *, python2: bool) -> None:
    """Writes parameters as PyTorch 0.1.10 did, when the published VGG-16 was made, on a GPU."""
    parameter, rebuild = torch.nn.parameter.Parameter, torch._utils._rebuild_tensor

    class Numbers:
        def __init__(self, key):
            self.key = key

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if not isinstance(value, Numbers):
                return None
            size = state[value.key].size
            return ("storage", torch.cuda.FloatStorage, value.key, "cuda:0", size, None)

    items = []
    for key, array in state.items():
        strides = tuple(step // 4 for step in array.strides)
        data = Reduced(rebuild, (Numbers(key), 0, array.shape, strides))
        items.append([key, Reduced(parameter, (data,), (True, False, None))])
    if python2:
        content = Reduced(OrderedDict, (items,))
    else:
        content = OrderedDict((key, value) for key, value in items)
    facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"long": 8}}
    with path.open("wb") as file:
        for part in (0x1950A86A20F9469CFC6C, 1001, facts):
            pickle.dump(part, file, protocol=2)
        Pickler(file, protocol=2).dump(content)
        pickle.dump(sorted(state), file, protocol=2)
        for key in sorted(state):
            file.write(struct.pack("<q", state[key].size) + state[key].tobytes())


@pytest.mark.torch
@pytest.mark.parametrize("python2", [False, True])
def test_parameters_as_written_in_2017(tmp_path, torch, python2) -> None:
    rng = np.random.default_rng(0)
    shapes = {"w": (4, 3, 2), "b": (4,), "a": (2, 2)}
    state = {name: rng.normal(size=shape).astype("f4") for name, shape in shapes.items()}
    path = tmp_path / "old.pth"
    write_as_in_2017(torch, path, state, python2=python2)
    if not python2:  # the file is one that PyTorch itself still reads
        read = torch.load(path, map_location="cpu", weights_only=True)
        for name, array in state.items():
            np.testing.assert_array_equal(read[name].detach().numpy(), array)
    found = arrays(path)
    assert set(found) == set(state)
    for name, array in state.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


@pytest.mark.torch
@pytest.mark.parametrize("zipped", ZIP)
def test_damaged_files_end_in_one_line(tmp_path, torch, zipped) -> None:
    path, damaged = tmp_path / "state.pth", tmp_path / "damaged.pth"
    state = {"a": torch.arange(30.0).reshape(5, 6), "b": torch.ones(7)}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    outcomes = {"refused": 0, "read": 0}

    def attempt(data: bytes) -> None:
        damaged.write_bytes(data)
        try:  # any other error fails the test
            arrays(damaged)
            outcomes["read"] += 1
        except UserError:
            outcomes["refused"] += 1

    for length in range(0, len(whole), 1 if len(whole) < 1000 else 7):
        attempt(whole[:length])
    assert outcomes["read"] == 0  # no truncated file passes
    for _ in range(300):
        data = bytearray(whole)
        data[rng.integers(len(data))] = rng.integers(256)
        attempt(bytes(data))
    assert outcomes["read"] > 0  # padding, or other numbers of the legacy format


@pytest.mark.torch
def test_checksum_in_the_name(tmp_path, torch) -> None:
    path = tmp_path / "state.pth"
    torch.save({"a": torch.arange(3.0)}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    right = path.rename(tmp_path / f"vgg16-{digest[:8]}.pth")
    np.testing.assert_array_equal(arrays(right)["a"], [0, 1, 2])
    wrong = right.rename(tmp_path / "vgg16-397923af.pth")
    with pytest.raises(UserError, match=rf"SHA-256 {digest[:8]}\.\.\., not 397923af") as error:
        read_torch(wrong)
    assert "fetch it again, or rename it" in str(error.value)
    for name in ("vgg16-397923a.pth", "vgg16_397923af.pth", "vgg16-397923ag.pth"):
        arrays(wrong.rename(tmp_path / name))  # no checksum
        (tmp_path / name).rename(wrong)


def zip_of(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


STORAGE = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x03tQ"
PICKLE = b"}U\x01actorch._utils\n_rebuild_tensor\n(" + STORAGE + b"K\x00K\x03\x85K\x01\x85tRs."
NUMBERS = np.arange(3, dtype="<f4").tobytes()


def test_zip_archives_without_torch(tmp_path) -> None:
    path = tmp_path / "state.pth"
    members = {"x/data.pkl": PICKLE, "x/data/0": NUMBERS}
    path.write_bytes(zip_of(members))
    np.testing.assert_array_equal(arrays(path)["a"], [0, 1, 2])
    for changed, message in (
        ({"x/byteorder": b"big"}, "big-endian numbers"),
        ({"y/data.pkl": PICKLE}, "not a readable PyTorch file"),
        ({"x/data/0": NUMBERS[:-1]}, "not a readable PyTorch file"),
        ({"x/data/0": NUMBERS + b"\0" * 4}, "not a readable PyTorch file"),
    ):
        path.write_bytes(zip_of({**members, **changed}))
        with pytest.raises(UserError, match=message) as error:
            arrays(path)
        one_line(error)
    path.write_bytes(zip_of(members, zipfile.ZIP_DEFLATED))
    with pytest.raises(UserError, match="not a readable PyTorch file"):
        arrays(path)
    path.write_bytes(zip_of({"word/document.xml": b"<a/>"}))
    with pytest.raises(UserError, match="not a readable PyTorch file"):
        arrays(path)


def test_safetensors(tmp_path) -> None:
    rng = np.random.default_rng(0)
    state = {
        "a": rng.normal(size=(3, 4)).astype("f4"),
        "b": rng.normal(size=5).astype("f2"),
        "c": np.arange(3),
    }
    path = tmp_path / "state.safetensors"
    save_file(state, path)
    found = read_safetensors(path)
    assert {name: (t.dtype, t.shape) for name, t in found.items()} == {
        "a": ("float32", (3, 4)),
        "b": ("float16", (5,)),
        "c": ("I64", (3,)),
    }
    for name, array in state.items():
        np.testing.assert_array_equal(found[name].read(), array, strict=True)
    data = path.read_bytes()
    for length in range(0, len(data), 3):
        path.write_bytes(data[:length])
        with pytest.raises(UserError, match="not a readable safetensors file") as error:
            read_safetensors(path)
        one_line(error)
