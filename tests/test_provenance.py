"""Provenance: versions and fingerprints in, folders out."""

import subprocess
from pathlib import Path

import jax

from jxr import provenance as module
from jxr.config import DataConfig, RestorerRun
from jxr.provenance import git_commit, provenance

ROOT = Path(__file__).resolve().parents[1]


def test_it_names_versions_and_drops_folders():
    run = RestorerRun(data=DataConfig(path="/home/someone/images"))
    origin = provenance(run, data="abc")
    assert origin["versions"]["jax"] == jax.__version__
    assert origin["fingerprints"] == {"data": "abc"}
    assert origin["config"]["data"]["path"] == "images"
    assert "someone" not in str(origin)


def test_commit_is_git_s_and_shows_changes(tmp_path, monkeypatch):
    def git(*arguments):
        call = subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(tmp_path), *arguments],
            check=True,
            capture_output=True,
            text=True,
        )
        return call.stdout.strip()

    (tmp_path / "jxr").mkdir()
    source = tmp_path / "jxr" / "provenance.py"
    monkeypatch.setattr(module, "__file__", str(source))
    assert git_commit() is None
    git("init", "--quiet")
    source.write_text("a")
    git("add", "-A")
    git("commit", "--quiet", "-m", "first")
    assert git_commit() == git("rev-parse", "HEAD")
    (tmp_path / "notes").write_text("not of the source")
    assert git_commit() == git("rev-parse", "HEAD")
    source.write_text("b")
    assert git_commit() == git("rev-parse", "HEAD") + "+changes"
