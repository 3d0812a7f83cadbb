"""Work on many files: bad ones are named, the others done, and a full disk ends it at once."""

import errno
from pathlib import Path

import pytest

from jxr.errors import UserError
from jxr.files import written
from jxr.studies.radiographs.batch_files import Failure, for_each_file, require_all

FILES = [Path(name) for name in "abcd"]


def work_failing(done, failing):
    """Work that notes its files, and raises what `failing` has for some of them."""

    def work(path):
        if path.name in failing:
            raise failing[path.name]
        done.append(path.name)

    return work


def test_all_files_in_their_order(capsys):
    done: list[str] = []
    require_all(for_each_file(FILES, work_failing(done, {}), done="copied"), 4, done="copied")
    assert done == ["a", "b", "c", "d"]
    assert capsys.readouterr().err == ""


def test_a_bad_file_is_one_line_and_the_others_are_done(capsys):
    done: list[str] = []
    failing = {"b": UserError("b: no\nimage"), "d": UserError("d: empty")}
    failures = for_each_file(FILES, work_failing(done, failing), done="copied")
    with pytest.raises(UserError, match="copied 2 of 4 files; the others are named above"):
        require_all(failures, 4, done="copied")
    assert done == ["a", "c"]
    assert capsys.readouterr().err == "error: b: no image\nerror: d: empty\n"


def test_failures_come_back(capsys):
    failures = for_each_file(FILES, work_failing([], {"c": UserError("c: bad")}), done="copied")
    assert failures == [Failure(Path("c"), "c: bad")]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_what_cannot_be_written_ends_it_at_once(code):
    done: list[str] = []
    full = OSError(code, "no more", "out.png")
    with pytest.raises(UserError, match=r"^out.png: cannot write .*stopped after 1 of 4"):
        for_each_file(FILES, work_failing(done, {"b": full}), done="copied")
    assert done == ["a"]


def test_a_full_disk_that_was_put_into_words_ends_it_as_well():
    done: list[str] = []

    def work(path):
        with written(path):
            work_failing(done, {"c": OSError(errno.ENOSPC, "full")})(path)

    with pytest.raises(UserError, match=r"^c: cannot write here \(full\)"):
        for_each_file(FILES, work, done="copied")
    assert done == ["a", "b"]


def test_mistakes_in_the_code_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        for_each_file(FILES, work_failing([], {"a": ZeroDivisionError()}), done="copied")
