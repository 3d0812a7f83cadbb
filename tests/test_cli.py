"""What all commands share."""

import os

from experiments import cli


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
