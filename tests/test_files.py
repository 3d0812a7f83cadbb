"""Locks: what stands in the way of one is told."""

import errno
from pathlib import Path

import pytest

from jxr.errors import UserError
from jxr.files import exclusive


@pytest.mark.parametrize(
    ("name", "reason"),
    [("file/train.lock", "File exists"), ("file/run/train.lock", "Not a directory")],
)
def test_a_lock_where_no_file_can_be_is_told(tmp_path, name, reason):
    (tmp_path / "file").write_text("in the way")
    path = tmp_path / name
    with (
        pytest.raises(UserError, match=rf"^{path}: cannot write here \({reason}\): give another -"),
        exclusive(path, "busy", "--workdir"),
    ):
        pass


def test_a_lock_on_a_disk_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    def refused(path, *_):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "open", refused)
    with (
        pytest.raises(UserError, match=r"cannot write here \(Read-only file system\)"),
        exclusive(tmp_path / "lock", "busy", "--cache"),
    ):
        pass
