"""The command that prepares the data set, as users call it."""

import re
import shutil
import signal
import time

import pytest

from jxr.data import data_fingerprint, index_folder
from jxr.data.tfds_prepare import prepare
from jxr.data.tfds_reader import tfds_set
from jxr.errors import UserError
from tests.commands import call, start, the_error


def test_prepares_once(tiny_images, tmp_path):
    arguments = (f"--output={tmp_path}", f"--source={tiny_images}")
    finished = call("prepare", *arguments)
    assert finished.returncode == 0, finished.stderr
    fingerprint = data_fingerprint(tiny_images, index_folder(tiny_images))
    folder = tmp_path / "chest_xray_guangzhou" / "original" / "1.0.0"
    assert finished.stdout == f"54 images, fingerprint {fingerprint}: {folder}\n"
    assert "prepared 54 of 54 images" in finished.stderr
    assert "not the published image set" in finished.stderr
    assert tfds_set(tmp_path).fingerprint == fingerprint

    again = call("prepare", *arguments)
    assert again.returncode == 0, again.stderr
    assert "done before" in again.stderr
    assert "prepared 54" not in again.stderr
    assert again.stdout == finished.stdout


BILINEAR = "--form=224", "--resize=bilinear"


def test_forms(tiny_images, tmp_path):
    finished = call("prepare", f"--output={tmp_path}", f"--source={tiny_images}", *BILINEAR)
    assert finished.returncode == 0, finished.stderr
    prepare(tiny_images, tmp_path, form="224")
    for name in ("224", "224_bilinear"):
        images = tfds_set(tmp_path / "chest_xray_guangzhou" / name)
        assert images.read(0).shape == (224, 224, 1)


def test_a_broken_image(tiny_images, tmp_path):
    images = tmp_path / "images"
    shutil.copytree(tiny_images, images)
    broken = images / "train" / "NORMAL" / "IM-0001-0001.jpeg"
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(UserError, match=re.escape(str(broken))):
        prepare(images, tmp_path / "out", form="original")
    finished = call(
        "prepare", f"--output={tmp_path / 'out'}", f"--source={images}", "--skip_broken"
    )
    assert finished.returncode == 0, finished.stderr
    assert f"left out: {broken}" in finished.stderr
    assert finished.stdout.startswith("53 images")


def test_mistakes_are_one_line(tiny_images, tmp_path):
    assert "--output" in the_error(call("prepare", f"--source={tiny_images}"))
    assert "--form" in the_error(call("prepare", f"--output={tmp_path}", "--resize=bilinear"))
    with pytest.raises(UserError, match=r"none\.zip: no such file"):
        prepare(tmp_path / "none.zip", tmp_path, form="original")
    assert "workdir" in the_error(call("prepare", f"--output={tmp_path}", f"--workdir={tmp_path}"))
    assert "form" in the_error(call("prepare", f"--output={tmp_path}", "--form=112"))


@pytest.mark.shared
def test_a_signal_leaves_nothing_behind(shared, tmp_path):
    source = shared / "data" / "chest_xray"
    running = start("prepare", f"--output={tmp_path}", f"--source={source}")
    folder = tmp_path / "chest_xray_guangzhou" / "original"
    for _ in range(600):
        if list(folder.glob("*/*array_record*")):
            break
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    _, errors = running.communicate()
    assert running.returncode == 128 + signal.SIGTERM, errors
    assert list(folder.iterdir()) == []
