"""What all commands share."""

import os
from pathlib import Path

import pytest
from absl import flags

from experiments import cli
from jxr.errors import UserError


def test_what_is_compiled_is_kept_in_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        monkeypatch.delenv(name)
    cli.keep_compiled()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"].endswith(os.path.join("jxr", "compiled"))
    assert float(os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"]) < 1


def test_a_users_own_folder_is_left_alone(monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/mine")
    cli.keep_compiled()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "/mine"


@pytest.mark.parametrize(
    ("value", "message"),
    [("", "--folder is empty: give a path"), ("~nobody-here/runs", "--folder=~nobody-here/runs: ")],
)
def test_a_path_that_is_none_is_told(value, message):
    """An empty one, as of a variable that is not set, would be the current folder."""
    values = flags.FlagValues()
    flag = flags.DEFINE_string("folder", "~/runs", "", flag_values=values)
    values(["command"])
    assert cli.path_of(flag) == Path.home() / "runs"
    values(["command", f"--folder={value}"])
    with pytest.raises(UserError, match=message):
        cli.path_of(flag)
