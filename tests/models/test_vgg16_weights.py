"""The weights file: what is read, and one clear line for everything that can be wrong with it."""

import hashlib
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest

from jxr.errors import UserError
from jxr.models import vgg16_weights
from jxr.models.vgg16 import LAYERS
from jxr.models.vgg16_weights import (
    FILE_NAME,
    fetch,
    fingerprint,
    load_vgg16_weights,
    random_weights,
)


@pytest.fixture
def zeros_file(tmp_path: Path) -> Path:
    """A file of the right layout, full of zeros (that HDF5 does not even store)."""
    path = tmp_path / "zeros.h5"
    with h5py.File(path, "w") as file:
        for name, n_in, n_out in LAYERS:
            file.create_dataset(f"{name}/{name}_W_1:0", (3, 3, n_in, n_out), "<f4")
            file.create_dataset(f"{name}/{name}_b_1:0", (n_out,), "<f4")
    return path


def one_line(error: pytest.ExceptionInfo) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert FILE_NAME in message  # the remedy names the right file
    return message


def test_reads_what_h5py_wrote(zeros_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    arrays, digest = {}, hashlib.sha256()
    with h5py.File(zeros_file, "r+") as file:
        for name, _, _ in LAYERS:
            for key in (f"{name}/{name}_W_1:0", f"{name}/{name}_b_1:0"):
                arrays[key] = rng.random(file[key].shape, np.float32)
                file[key][...] = arrays[key]
                digest.update(arrays[key].tobytes())
    monkeypatch.setattr(vgg16_weights, "FINGERPRINT", digest.hexdigest())
    weights = load_vgg16_weights(zeros_file)
    assert weights.top is None
    assert weights.convention == "caffe"
    assert weights.fingerprint == digest.hexdigest()
    params = weights.params
    assert fingerprint(params) == digest.hexdigest()
    assert list(params) == [name for name, _, _ in LAYERS]
    for name in params:
        np.testing.assert_array_equal(params[name]["kernel"], arrays[f"{name}/{name}_W_1:0"])
        np.testing.assert_array_equal(params[name]["bias"], arrays[f"{name}/{name}_b_1:0"])


def test_names_of_weights_that_keras_2_saved_anew(tmp_path: Path, monkeypatch) -> None:
    rng = np.random.default_rng(0)
    digest = hashlib.sha256()
    path = tmp_path / "anew.h5"
    with h5py.File(path, "w") as file:
        for name, n_in, n_out in LAYERS:
            for part, shape in (("kernel", (3, 3, n_in, n_out)), ("bias", (n_out,))):
                array = rng.random(shape, np.float32)
                file[f"{name}/{name}/{part}:0"] = array
                digest.update(array.tobytes())
    monkeypatch.setattr(vgg16_weights, "FINGERPRINT", digest.hexdigest())
    assert load_vgg16_weights(path).fingerprint == digest.hexdigest()
    with h5py.File(path, "r+") as file:
        del file["block3_conv1/block3_conv1/bias:0"]
    with pytest.raises(UserError, match="no data set block3_conv1/block3_conv1/bias:0"):
        load_vgg16_weights(path)


def test_a_part_of_the_top(zeros_file: Path) -> None:
    with h5py.File(zeros_file, "r+") as file:
        file.create_dataset("predictions/predictions_W_1:0", (4096, 1000), "<f4")
    with pytest.raises(UserError, match=r"no data set fc1/fc1_W_1:0") as error:
        load_vgg16_weights(zeros_file)
    one_line(error)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no weights file .*nowhere\.h5") as error:
        load_vgg16_weights(tmp_path / "nowhere.h5")
    one_line(error)


@pytest.mark.parametrize(
    "content", [b"", b"block1_conv1 0.429 0.117\n", b"<!DOCTYPE html>", b"12345678{", b"\x1f\x8b"]
)
def test_no_kind_of_weights_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.h5"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"weights\.h5 is no kind of weights file") as error:
        load_vgg16_weights(path)
    assert ".pth or safetensors" in one_line(error)


def test_broken_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\nxyz")
    with pytest.raises(UserError, match=r"weights\.h5 is not a readable HDF5") as error:
        load_vgg16_weights(path)
    one_line(error)


def test_truncated_file(zeros_file: Path) -> None:
    with h5py.File(zeros_file, "r+") as file:
        file["block5_conv3/block5_conv3_W_1:0"][...] = 1
    data = zeros_file.read_bytes()
    zeros_file.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="not a readable HDF5"):
        load_vgg16_weights(zeros_file)


@pytest.mark.parametrize("missing", ["block4_conv2", "block4_conv2/block4_conv2_b_1:0"])
def test_missing_layer_or_data_set(zeros_file: Path, missing: str) -> None:
    with h5py.File(zeros_file, "r+") as file:
        del file[missing]
    with pytest.raises(UserError, match=f"zeros.h5 has no data set {missing}") as error:
        load_vgg16_weights(zeros_file)
    one_line(error)


def test_group_in_place_of_a_data_set(zeros_file: Path) -> None:
    with h5py.File(zeros_file, "r+") as file:
        del file["block1_conv1/block1_conv1_b_1:0"]
        file.create_group("block1_conv1/block1_conv1_b_1:0")
    with pytest.raises(UserError, match="no data set block1_conv1/block1_conv1_b_1:0"):
        load_vgg16_weights(zeros_file)


def test_another_hdf5_file(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["conv1/kernel"] = np.zeros((3, 3, 3, 64), np.float32)
    with pytest.raises(UserError, match=r"other\.h5 has no data set block1_conv1/") as error:
        load_vgg16_weights(path)
    one_line(error)


@pytest.mark.parametrize(
    ("shape", "dtype", "found"),
    [
        ((64, 128, 3, 3), "<f4", r"float32 \(64, 128, 3, 3\)"),
        ((3, 3, 64, 128), "<f2", r"float16 \(3, 3, 64, 128\)"),
    ],
)
def test_wrong_shape_or_type(zeros_file: Path, shape: tuple, dtype: str, found: str) -> None:
    key = "block2_conv1/block2_conv1_W_1:0"
    with h5py.File(zeros_file, "r+") as file:
        del file[key]
        file.create_dataset(key, shape, dtype)
    with pytest.raises(UserError, match=rf"{key} is {found}, not float32 \(3, 3, 64,") as error:
        load_vgg16_weights(zeros_file)
    one_line(error)


def test_other_numbers(zeros_file: Path) -> None:
    with pytest.raises(UserError, match=r"zeros\.h5 holds other numbers") as error:
        load_vgg16_weights(zeros_file)
    one_line(error)


@pytest.mark.shared
def test_published_weights(shared: Path) -> None:
    params = load_vgg16_weights(shared / "weights" / FILE_NAME).params
    first = np.asarray(params["block1_conv1"]["kernel"]).ravel()[:3]
    np.testing.assert_array_equal(first, np.float32([0.42947057, 0.11727387, 0.03401296]))


@pytest.mark.shared
def test_one_altered_value_is_found(shared: Path, tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    shutil.copyfile(shared / "weights" / FILE_NAME, path)
    with h5py.File(path, "r+") as file:
        bias = file["block5_conv3/block5_conv3_b_1:0"]
        bias[17] = np.nextafter(bias[17], np.float32(9))
    with pytest.raises(UserError, match="holds other numbers"):
        load_vgg16_weights(path)


def test_random_weights_are_he_normal_and_depend_on_the_key_only() -> None:
    params = random_weights(jax.random.key(3))
    kernel = np.asarray(params["block3_conv2"]["kernel"])
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (9 * 256)), rtol=0.01)
    assert abs(kernel.mean()) < 1e-3 * kernel.std() * 5
    first = np.asarray(params["block1_conv1"]["kernel"])
    np.testing.assert_allclose(first.std(), np.sqrt(2 / (9 * 3)) / 64, rtol=0.1)
    assert not np.asarray(params["block3_conv2"]["bias"]).any()
    assert fingerprint(params) == fingerprint(random_weights(jax.random.key(3)))
    assert fingerprint(params) != fingerprint(random_weights(jax.random.key(4)))


CONTENT = b"not really weights"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[str]]]:
    """A loopback web server with one file; yields its URL and the list of paths asked for."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/weights.h5", asked
        httpd.shutdown()
        thread.join()


def test_fetch_downloads_once(server: tuple[str, list[str]], tmp_path: Path) -> None:
    url, asked = server
    checksum = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    path = fetch(tmp_path / "cache", url=url, checksum=checksum)
    assert path == tmp_path / "cache" / FILE_NAME
    assert path.read_bytes() == CONTENT
    assert fetch(tmp_path / "cache", url=url, checksum=checksum) == path
    assert asked == ["/weights.h5"]


def test_fetch_mends_a_damaged_copy(server: tuple[str, list[str]], tmp_path: Path) -> None:
    url, asked = server
    (tmp_path / FILE_NAME).write_bytes(CONTENT[:5])
    path = fetch(tmp_path, url=url, checksum=f"md5:{hashlib.md5(CONTENT).hexdigest()}")
    assert path.read_bytes() == CONTENT
    assert len(asked) == 1


def test_fetch_keeps_nothing_of_a_wrong_checksum(
    server: tuple[str, list[str]], tmp_path: Path
) -> None:
    url, _ = server
    with pytest.raises(UserError, match="does not have the checksum md5:6d6bbae") as error:
        fetch(tmp_path / "cache", url=url)
    one_line(error)
    assert list((tmp_path / "cache").iterdir()) == []


def test_fetch_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(UserError, match="another machine") as error:
        fetch(tmp_path, url="http://127.0.0.1:9/weights.h5")  # nobody listens on port 9
    one_line(error)
