import shutil
import signal
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jxr.data import data_fingerprint, file_set, index_folder, load_images
from jxr.errors import UserError
from tests.forked import run_code, start


@pytest.fixture
def root(build):
    return build()


@pytest.fixture
def records(root):
    return index_folder(root)


def test_images_come_in_the_order_of_the_records(root, records):
    images = load_images(file_set(root, records[::-1]), size=16)
    assert images.shape == (9, 16, 16, 1)
    assert images.dtype == np.float32
    for record, image in zip(records[::-1], images, strict=True):
        pixels = np.asarray(Image.open(root / record.path), np.float32) / 255
        expected = Image.fromarray(pixels).resize((16, 16), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(image[..., 0], expected, atol=1e-6)


def test_progress_counts_every_image(root, records):
    seen = []
    load_images(
        file_set(root, records), size=8, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(i, 9) for i in range(1, 10)]


def test_the_cache_holds_the_same_images_and_spares_decoding(root, records, tmp_path):
    cache = tmp_path / "new" / "cache"
    plain = load_images(file_set(root, records), size=16)
    decoded = []

    def load() -> np.ndarray:
        return load_images(
            file_set(root, records),
            size=16,
            cache=cache,
            progress=lambda done, total: decoded.append(done),
        )

    first = load()
    assert isinstance(first, np.memmap)
    np.testing.assert_array_equal(first, plain)
    np.testing.assert_array_equal(load(), plain)
    assert len(decoded) == 9
    assert sorted(file.suffix for file in cache.iterdir()) == [".lock", ".npy"]
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0


def test_another_question_has_another_cache(root, records, tmp_path):
    def count() -> int:
        return len(list(tmp_path.glob("*.npy")))

    load_images(file_set(root, records), size=16, cache=tmp_path)
    load_images(file_set(root, records), size=8, cache=tmp_path)
    load_images(file_set(root, records), size=8, resize="nearest", cache=tmp_path)
    assert count() == 3
    reverse = load_images(file_set(root, records[::-1]), size=8, cache=tmp_path)
    assert count() == 4
    np.testing.assert_array_equal(reverse, load_images(file_set(root, records), size=8)[::-1])
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(root / records[0].path)
    changed = load_images(file_set(root, records), size=8, cache=tmp_path)
    assert count() == 5
    assert not changed[0].any()


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "garbage", "other shape"])
def test_a_damaged_cache_is_rebuilt_with_a_note(root, records, tmp_path, caplog, damage):
    expected = np.array(load_images(file_set(root, records), size=16, cache=tmp_path))
    (file,) = tmp_path.glob("*.npy")
    content = bytearray(file.read_bytes())
    content[-3000] ^= 1
    if damage == "other shape":
        np.save(file, expected[:5])
    else:
        file.write_bytes(
            {
                "flip": content,
                "truncate": content[:-5],
                "empty": b"",
                "garbage": b"garbage",
            }[damage]
        )
    again = load_images(file_set(root, records), size=16, cache=tmp_path)
    np.testing.assert_array_equal(again, expected)
    assert f"{file}: damaged cache" in caplog.text
    caplog.clear()
    load_images(file_set(root, records), size=16, cache=tmp_path)
    assert not caplog.text


def test_a_damaged_cache_of_others_is_named(root, records, tmp_path, monkeypatch):
    load_images(file_set(root, records), size=16, cache=tmp_path)
    (file,) = tmp_path.glob("*.npy")
    file.write_bytes(b"garbage")

    def unlink(path, missing_ok=False):  # permissions would not stop root
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", unlink)
    with pytest.raises(UserError, match=rf"{file}: damaged, and cannot be removed \(Permission"):
        load_images(file_set(root, records), size=16, cache=tmp_path)


def test_an_unreadable_image_leaves_nothing_behind(root, records, tmp_path):
    (root / records[4].path).write_bytes(b"no image")
    with pytest.raises(UserError, match=records[4].path):
        load_images(file_set(root, records), size=16, cache=tmp_path / "cache")
    assert [file.suffix for file in (tmp_path / "cache").iterdir()] == [".lock"]


def test_what_a_killed_call_left_is_gone_after_the_next(root, records, tmp_path):
    code = """if True:
        import os, signal, sys
        from jxr.data import file_set, index_folder, load_images

        def progress(done, total):
            if done == 5:
                os.kill(os.getpid(), signal.SIGKILL)

        images = file_set(sys.argv[1], index_folder(sys.argv[1]))
        load_images(images, size=16, cache=sys.argv[2], progress=progress)
    """
    for _ in range(2):
        process = start(run_code, code, str(root), str(tmp_path / "cache"))
        process.join()
        assert process.exitcode == -signal.SIGKILL
    left = list((tmp_path / "cache").glob("*.tmp"))
    assert len(left) == 1
    load_images(file_set(root, records), size=16, cache=tmp_path / "cache")
    assert not left[0].exists()


def test_calls_at_once_decode_once(root, records, tmp_path):
    decoded = []

    def load(_: int) -> np.ndarray:
        return load_images(
            file_set(root, records),
            size=16,
            cache=tmp_path / "cache",
            progress=lambda done, total: (time.sleep(0.02), decoded.append(done)),
        )

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(load, range(3)))
    assert sorted(decoded) == list(range(1, 10))
    for images in found:
        np.testing.assert_array_equal(images, load_images(file_set(root, records), size=16))


def test_a_cache_that_cannot_be_written_is_named(root, records, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write here \(File exists\): give another --cache"):
        load_images(file_set(root, records), size=16, cache=tmp_path / "file")
    full = namedtuple("Usage", ["free"])(100)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    with pytest.raises(UserError, match=r"cache: .* needed, 0.0 GB free: make room"):
        load_images(file_set(root, records), size=16, cache=tmp_path / "cache")


def test_the_fingerprint_follows_names_bytes_and_order(root, records, build, tmp_path):
    fingerprint = data_fingerprint(root, records)
    assert len(fingerprint) == 64
    assert data_fingerprint(root, records) == fingerprint
    assert data_fingerprint(root, records[::-1]) != fingerprint
    assert data_fingerprint(root, records[1:]) != fingerprint

    nested = tmp_path / "nested"
    build(root=nested / "chest_xray")
    assert data_fingerprint(nested, index_folder(nested)) == fingerprint

    file = root / records[0].path
    file.write_bytes(file.read_bytes() + b"\0")
    assert data_fingerprint(root, records) != fingerprint
    file.unlink()
    with pytest.raises(UserError, match=rf"{records[0].path}: no such file; check the path"):
        data_fingerprint(root, records)


@pytest.mark.shared
def test_real_images_of_the_right_size_are_their_bytes(shared):
    root = shared / "data" / "chest_xray"
    records = index_folder(root)[::500]
    images = load_images(file_set(root, records))
    for record, image in zip(records, images, strict=True):
        pixels = np.asarray(Image.open(root / record.path))
        np.testing.assert_array_equal(image[..., 0], pixels.astype(np.float32) / np.float32(255))
