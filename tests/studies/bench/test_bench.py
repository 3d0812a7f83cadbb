"""The benchmark's command, its file and its table; that it compares equals, on tiny images."""

import json
import re
import sys

import numpy as np
import pytest

from jxr.errors import UserError
from jxr.reporting.bench_table import bench_table
from jxr.reporting.tables import to_markdown
from jxr.studies.bench import benchmark as bench
from jxr.studies.bench import networks as bench_networks
from jxr.studies.bench import optics as bench_optics
from jxr.studies.bench import restoration as bench_restoration
from jxr.studies.bench import timing
from jxr.studies.bench.benchmark import CASES, read_rows, run_bench
from jxr.studies.bench.restoration import TV_WEIGHT, rof_objective
from tests.commands import call, the_error

CONTRACT = "what, ours, peer, peer_name, ratio, unit, device, batch, dtype, versions"
KEYS = CONTRACT.split(", ")
# The contract's names.
WHATS = """unet_train, restorer_train, vgg_features, blur, wiener, richardson_lucy, total_variation,
shift_variant_blur, sweep8_heads, sweep8_restorers, input"""
CLASSICAL = ["input", "blur", "wiener", "richardson_lucy", "total_variation", "shift_variant_blur"]


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(timing, "SAMPLE", 0.0)
    monkeypatch.setattr(timing, "PAUSE", 0.0)
    for module in (bench_optics, bench_restoration):
        monkeypatch.setattr(module, "BATCH", 6)  # two phantoms of each class


@pytest.fixture
def one_pooling(monkeypatch):
    """A U-Net that compiles faster; in bfloat16 its smallest gradients are too inexact."""
    monkeypatch.setitem(bench_networks.UNET_SIZES, "tiny", (32, 2, 2, 1))


def test_names_are_those_of_the_contract():
    assert set(CASES) <= set(WHATS.replace("\n", " ").split(", "))
    assert set(CLASSICAL) <= set(CASES)


@pytest.mark.parametrize("what", CLASSICAL)
def test_ours_and_the_peers_agree(what, quick, tmp_path):
    """Each case checks its own results, with a tolerance that stands in it."""
    pytest.importorskip("skimage")
    rows = run_bench([what], tmp_path / "bench.json", repeats=1, scale="tiny")
    assert len(rows) >= 2
    assert len({row["peer_name"] for row in rows}) == len(rows)
    for row in rows:
        assert list(row)[: len(KEYS)] == KEYS
        assert row["what"] == what
        assert row["ours"] > 0
        assert row["peer"] > 0
        assert row["difference"] < (3e-3 if what == "input" else 1e-3)
    assert json.loads((tmp_path / "bench.json").read_text()) == sorted(
        rows, key=lambda row: row["peer_name"]
    )


def test_stacked_models_agree_with_single_ones(quick, tmp_path):
    """Losses and gradient norms of three steps, checked by the cases themselves."""
    whats = ["sweep8_heads", "sweep8_restorers"]
    rows = run_bench(whats, tmp_path / "bench.json", repeats=1, scale="tiny")
    assert [(row["what"], row["peer_name"].split()[-1]) for row in rows] == [
        ("sweep8_heads", "loop"),  # on a CPU
        ("sweep8_restorers", "loop"),
    ]
    assert all(row["difference"] < 1e-3 for row in rows)


@pytest.mark.torch
@pytest.mark.parametrize("what", ["vgg_features", "unet_train", "restorer_train"])
def test_networks_agree_with_pytorch(what, quick, one_pooling, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    # Compiling takes a minute, and is reported as any other failure of it.
    monkeypatch.setattr(torch, "compile", lambda module: None)
    rows = run_bench([what], tmp_path / "bench.json", repeats=1, scale="tiny")
    layouts = [row["peer_name"].split(",")[0] for row in rows]
    assert layouts == ["torch eager NCHW", "torch eager channels_last"]


@pytest.mark.torch
@pytest.mark.parametrize("what", ["unet_train", "restorer_train"])
def test_networks_in_bfloat16_agree_with_pytorch_s_autocast(what, quick, tmp_path, monkeypatch):
    """As they are timed on accelerators."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch, "compile", lambda module: None)
    monkeypatch.setattr(bench_networks, "dtypes", lambda: ("bfloat16",))
    rows = run_bench([what], tmp_path / "bench.json", repeats=1, scale="tiny")
    assert [row["dtype"] for row in rows] == ["bfloat16"] * 2
    # Not float32 on both sides, nor another network on one.
    assert all(1e-3 < row["difference"] < 0.2 for row in rows)


@pytest.mark.torch
def test_the_check_of_the_gradients_sees_another_network(quick, one_pooling, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from jxr.studies.bench import torch_peers

    def other(params, depth):
        params["up0"]["conv2"]["bias"] = params["up0"]["conv2"]["bias"] + 0.5
        return original(params, depth)

    original = torch_peers.torch_unet
    monkeypatch.setattr(torch_peers, "torch_unet", other)
    with pytest.raises(ValueError, match="unet_train: ours and torch eager NCHW"):
        run_bench(["unet_train"], tmp_path / "bench.json", repeats=1, scale="tiny")
    assert not (tmp_path / "bench.json").exists()


def test_rows_of_a_peer_that_is_missing_are_left_out(quick, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.restoration", None)
    monkeypatch.setitem(sys.modules, "skimage", None)
    path = tmp_path / "bench.json"
    (row,) = run_bench(["wiener", "richardson_lucy"], path, repeats=1, scale="tiny")
    assert row["peer_name"].startswith("scipy.fft.dctn")
    with pytest.raises(UserError, match="nothing was measured: install scikit-image"):
        run_bench(["richardson_lucy"], tmp_path / "none.json", repeats=1, scale="tiny")
    assert not (tmp_path / "none.json").exists()
    # Anything else that is missing is a defect.
    monkeypatch.setattr(bench, "OPTIONAL", {})
    with pytest.raises(ModuleNotFoundError):
        run_bench(["richardson_lucy"], path, repeats=1, scale="tiny")


def test_the_command(tmp_path):
    path = tmp_path / "folder" / "bench.json"
    path.parent.mkdir()
    kept = {
        "what": "blur", "peer_name": "abacus", "device": "cpu", "dtype": "float32", "ratio": 9,
        "ours": 9, "peer": 1, "unit": "images/s", "batch": 1,
    }  # fmt: skip
    path.write_text(json.dumps([kept]))
    finished = call("bench", "--what=blur", f"--output={path}", "--repeats=1", "--scale=tiny")
    assert finished.returncode == 0, finished.stderr
    rows = read_rows(path)
    assert kept in rows
    assert len(rows) == 3
    assert finished.stdout.count("| Gaussian blur | scipy.ndimage") == 2
    assert f"rows: {path}" in finished.stdout
    page = path.with_suffix(".md").read_text()
    assert page.startswith("## cpu\n")
    assert page.count("\n| Gaussian blur | ") == 3


def test_mistakes_are_one_line(tmp_path):
    path = tmp_path / "bench.json"
    with pytest.raises(UserError, match="--what=blurr is unknown: give some of blur, wiener"):
        run_bench(["blurr"], path, repeats=1)
    for text in ("no JSON", '{"a": 1}', "[1]", '[{"what": "blur"}]'):
        path.write_text(text)
        with pytest.raises(UserError, match=r"bench\.json holds no rows"):
            read_rows(path)
    with pytest.raises(UserError, match=re.escape(str(path))):
        run_bench(["blur"], path, repeats=1, scale="tiny")
    assert path.read_text() == text
    with pytest.raises(UserError, match="cannot write here"):
        run_bench([], path / "below.json", repeats=1)
    assert "repeats" in the_error(call("bench", "--repeats=0", f"--output={path}"))
    line = the_error(call("bench", "--scale=tiny"))
    assert "--scale=tiny is to try the command: give --output" in line
    assert "workdir" in the_error(call("bench", f"--workdir={tmp_path}"))


def test_the_objective_of_total_variation():
    images = np.zeros((1, 3, 3))
    images[0, 1, 1] = 2.0  # its own slope is (-2, -2), and its upper and left neighbours' are 2
    noisy = images + 0.5
    expected = 9 * 0.25 / 2 + TV_WEIGHT * (np.sqrt(8) + 2 + 2)
    np.testing.assert_allclose(rof_objective(images, noisy), [expected])


def test_the_table():
    row = {"what": "wiener", "peer_name": "scikit-image", "ours": 12345.6, "peer": 3.217}
    row |= {"ratio": 3837.6, "unit": "images/s", "device": "cpu", "batch": 32, "dtype": "float32"}
    text = to_markdown(bench_table([row, {**row, "what": "sweep8_heads", "peer": 41.98}]))
    assert "| Wiener filter | scikit-image | 12,300 | 3.22 | images/s | 3837.60 | 32 |" in text
    assert "| eight heads, training | scikit-image | 12,300 | 42.0 |" in text
