"""The machine for PyTorch's pickles: what it refuses, and that refusing does nothing else."""

import builtins
import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from jxr.errors import UserError
from jxr.models.state_dicts import read_torch
from jxr.models.torch_pickle import RefusedError, Tensor, unpickle


class Call:
    """Pickles as the call of `function` with `arguments` when it is loaded."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def attacks(target: Path) -> dict[str, Call]:
    """Calls that would all create `target`."""
    code = f"open({str(target)!r}, 'w').close()"
    return {
        "os.system": Call(os.system, f"touch {target}"),
        "eval": Call(builtins.eval, code),
        "exec": Call(builtins.exec, code),
        "popen": Call(subprocess.check_call, ["touch", str(target)]),
        "open": Call(open, str(target), "w"),
        "method": Call(Path.touch, target),
        "getattr": Call(getattr, target, "touch"),
        "import": Call(builtins.__import__, "this"),
    }


def as_plain(data: bytes) -> bytes:
    return data


def as_zip(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/byteorder", "little")
    return buffer.getvalue()


def as_legacy(data: bytes) -> bytes:
    facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, facts)]
    return b"".join([*parts, data, pickle.dumps([], 2)])


@pytest.mark.parametrize("wrap", [as_plain, as_zip, as_legacy])
@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("kind", list(attacks(Path("x"))))
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, kind, protocol, wrap) -> None:
    target = tmp_path / "harm"
    attack = attacks(target)[kind]
    path = tmp_path / "weights.pth"
    path.write_bytes(wrap(pickle.dumps({"features.0.weight": attack}, protocol)))
    with pytest.raises(UserError, match=r"weights\.pth asks for ") as error:
        read_torch(path)
    assert "\n" not in str(error.value)
    assert not target.exists()
    assert "this" not in sys.modules
    # The attack itself works: the standard library's loader falls for it.
    if kind in ("os.system", "eval", "exec", "popen"):
        pickle.loads(pickle.dumps(attack, protocol))
        assert target.exists()


def test_the_message_names_what_was_asked_for(tmp_path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(as_zip(pickle.dumps(Call(os.system, "true"), 2)))
    with pytest.raises(UserError, match=rf"asks for '{os.name}\.system', which no state dict"):
        read_torch(path)


@pytest.mark.parametrize(
    "operations",
    [
        b"(ios\nsystem\n.",  # INST
        b"\x82\x01.",  # EXT1: the registry of copyreg
        b"Pname\n.",  # PERSID
        b"\x97.",  # NEXT_BUFFER
        b"\x80\x04\x8c\x02os\x8c\x06sy\nstm\x93.",  # STACK_GLOBAL
        b"ctorch\nload\n.",
        b"ctorch._utils\n_rebuild_tensor.__globals__\n.",
        b"ctorch FloatStorage\n\n.",  # a blank in the wrong place
    ],
)
def test_operations_that_no_state_dict_needs(operations) -> None:
    with pytest.raises(RefusedError):
        unpickle(io.BytesIO(operations))


@pytest.mark.parametrize(
    "operations",
    [
        b"",
        b"]",  # no STOP
        b"N0.",  # nothing left
        b"h\x07.",  # a memo that was never made
        b"t.",  # no mark
        b"}(K\x01u.",  # a key without a value
        b"}K\x01K\x02s.",  # a key that is no text
        b"K\x01K\x02a.",  # append to a number
        b"ccollections\nOrderedDict\n}b.",  # a state for a class
        b"K\x01)R.",  # a number is called
        b"ccollections\nOrderedDict\nK\x01R.",  # arguments that are no tuple
        b"ctorch\nFloatStorage\n)R.",  # a storage made by hand
        b"K\x01Q.",  # a persistent id that is a number
        b"(U\x06moduleU\x01aU\x01bK\x01K\x02tQ.",  # source code, as torch.save once kept it
    ],
)
def test_pickles_without_sense_are_errors_and_no_endless_loops(operations, tmp_path) -> None:
    with pytest.raises(Exception) as error:  # noqa: PT011
        unpickle(io.BytesIO(operations))
    assert not isinstance(error.value, AssertionError)
    path = tmp_path / "weights.pth"
    path.write_bytes(as_zip(operations))
    with pytest.raises(UserError, match=r"weights\.pth (is not a readable|asks for)"):
        read_torch(path)


def test_a_key_whose_hash_would_take_for_ever() -> None:
    doubled = b")" + b"q\x00h\x00\x86" * 200  # a tuple of itself twice, 200 times
    with pytest.raises(ValueError, match="key that is no text"):
        unpickle(io.BytesIO(b"}" + doubled + b"Ns."))


def test_a_pickle_without_end() -> None:
    with pytest.raises(RefusedError, match="operations"):
        unpickle(io.BytesIO(b"N" * 10**6 + b"."))


# offset, shape, strides, and whether a storage of ten numbers holds such a view
VIEWS = [
    (0, (10,), (1,), True),
    (1, (10,), (1,), False),
    (9, (1,), (1000,), True),
    (10, (1,), (1,), False),
    (0, (2, 5), (5, 1), True),
    (1, (2, 5), (5, 1), False),
    (0, (5, 2), (1, 5), True),
    (0, (3,), (0,), True),
    (9, (), (), True),
    (10, (), (), False),
    (99, (0, 4), (4, 1), True),
    (-1, (2,), (1,), False),
    (5, (2,), (-1,), False),
    (0, (-2,), (1,), False),
    (0, (2,), (1, 1), False),
    (0, (True,), (1,), False),
    (0, (2.0,), (1,), False),
]


@pytest.mark.parametrize(("offset", "shape", "strides", "fits"), VIEWS)
def test_views_stay_within_their_storage(offset, shape, strides, fits) -> None:
    storage = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x0atQ"
    # Each part without its PROTO and STOP.
    parts = b"".join(pickle.dumps(part, 2)[2:-1] for part in (offset, shape, strides))
    data = b"ctorch._utils\n_rebuild_tensor\n(" + storage + parts + b"tR."
    if not fits:
        with pytest.raises((ValueError, RefusedError)):
            unpickle(io.BytesIO(data))
        return
    tensor = unpickle(io.BytesIO(data))
    assert tensor == Tensor(("0", "float32", 4, 10), offset, shape, strides)
