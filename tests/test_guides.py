"""The guides' code runs and does what they say, their commands exist; so do the tour's results."""

import functools
import importlib
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import jxr
from experiments.guides import figures, reference

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "experiments" / "guides"
GUIDES = sorted(FOLDER.glob("*.md"))
TEXTS = {guide.stem: guide.read_text() for guide in GUIDES}


def test_psf_guide():
    names = figures.run_guide("psf")
    for psf in (names["measured"], names["spot"]):
        assert float(psf.sum()) == pytest.approx(1, abs=1e-6)
    # Under a mirrored edge no light is lost, and a blur lowers the variance.
    sharp, blurred = names["chests"], names["blurred"]
    assert float(blurred.mean()) == pytest.approx(float(sharp.mean()), rel=1e-2)
    assert float(blurred.var()) < float(sharp.var())
    inside = (slice(None), slice(8, -8), slice(8, -8))  # 'unknown' leaves a margin
    assert error(names["by_wiener_any"], sharp, inside) < error(blurred, sharp, inside) / 2
    for name in ("by_wiener", "by_lucy", "by_variation"):
        assert error(names[name], sharp) < error(names["noisy"], sharp)
    assert error(names["by_lucy_varying"], sharp) < error(names["varied"], sharp)
    # The field's PSF differs from the middle's, but little: half a millimetre off a metre.
    np.testing.assert_allclose(names["varied"], names["smooth"], atol=2e-2)


def test_model_guide():
    names = figures.run_guide("model")
    assert names["after"] < 0.7 * names["before"]
    jax.tree.map(np.testing.assert_array_equal, names["params"], names["loaded"])
    lines = (names["folder"] / "run" / "metrics.jsonl").read_text().splitlines()
    steps = [line["step"] for line in map(json.loads, lines) if "loss" in line]
    assert steps == [10, 20, 30, 40, 50, 60]  # stopped at 30, none done twice


def test_data_guide():
    names = figures.run_guide("data")
    assert len(names["by_folder"].records) == len(names["by_csv"].records) == 48
    assert len({record.patient for record in names["by_folder"].records}) == 48
    assert "patients are not known" in names["by_folder"].notes[0]
    assert len({record.patient for record in names["by_csv"].records}) == 24
    assert names["by_csv"].notes == ()
    sides = [{record.patient for record in names[side]} for side in ("train", "validation")]
    assert not sides[0] & sides[1]
    assert [len(side) for side in sides] == [12, 4]  # a quarter of 16 patients
    assert names["batch"]["image"].shape == (8, 32, 32, 1)
    assert set(names["batch"]["example_id"]) <= set(names["training_rows"])
    assert names["own"].read(3).shape == (64, 64, 1)
    file = names["root"] / "darker.png"
    file.write_bytes(names["darker"])
    with Image.open(file) as image:
        halves = names["radiograph"].pixels[..., 0] * 255 / 2
        np.testing.assert_allclose(np.asarray(image, float), halves, atol=0.51)


def test_sweeps_guide():
    names = figures.run_guide("sweeps")
    table, grid = np.asarray(names["table"]), np.asarray(names["grid"])
    assert table.shape == (5, 3)
    assert table[0, 0] < 1 / 255**2  # sigma 0: rounding alone
    assert (np.diff(table[:, 0]) > 0).all()
    assert (table[2:, 1:] < table[2:, :1]).all()  # both restorers help from sigma 1 on
    assert float(names["slope"]) < 0
    assert names["trained"].sound.all()
    assert names["kernels"].shape == (4, 9, 9, 1, 1)
    for number, sigma in enumerate(names["train_sigmas"]):
        (place,) = np.flatnonzero(np.isclose(names["sigmas"], sigma))
        blurred = jxr.gaussian_blur(names["chests"], float(sigma), radius=8)
        assert grid[number, place] < error(blurred, names["chests"])


def test_tour(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["tour", str(tmp_path / "figures")])
    names = runpy.run_path(str(ROOT / "experiments" / "tour.py"), run_name="tour")
    written = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert written == {"phantoms", "spectrum", "restored", "bounds", "sweep"}
    errors = names["errors"]
    assert max(errors["Wiener"], errors["Network"]) < errors["Blurred"] / 2
    assert 0.85 < names["covered"] < 0.95
    assert names["metrics"].loss[-1] < names["metrics"].loss[0]
    # 1.2 mm, enlarged by 0.25, of a Gaussian 3.896 standard deviations wide, in pixels of 0.06 mm.
    assert names["told_sigma"] == pytest.approx(1.2 * 0.25 / 3.896 / 0.06, rel=1e-3)
    assert float(names["sigma"]) == pytest.approx(names["expected_sigma"], rel=5e-3)


def test_tour_is_cells_that_jupytext_opens():
    text = (ROOT / "experiments" / "tour.py").read_text()
    cells = re.split(r"^# %%", text, flags=re.M)
    assert cells[0] == ""
    assert len(cells) > 15
    for number, cell in enumerate(cells[1:]):
        assert cell.startswith(" [markdown]\n") == (number % 2 == 0)  # text and code take turns
        compile(f"# %%{cell}", "cell", "exec")


@pytest.mark.parametrize("name", TEXTS)
def test_links_exist(name):
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", TEXTS[name])
    for target in targets:
        assert (FOLDER / target).exists(), target
    if name == "README":
        assert {Path(target).name for target in targets} >= {
            guide.name for guide in GUIDES if guide.stem != "README"
        }


def test_figures_are_those_of_the_guides_and_small():
    shown = {name for name, text in TEXTS.items() if f"](figures/{name}.png)" in text}
    files = {path.stem: path.stat().st_size for path in (FOLDER / "figures").glob("*.png")}
    assert shown == set(files) == set(figures.FIGURES)
    assert max(files.values()) < 150_000


COMMANDS = [
    (name, line)
    for name, text in TEXTS.items()
    for block in re.findall(r"^ *```console\n(.*?)^ *```", text, re.S | re.M)
    for line in re.findall(r"python -m experiments\.[^\n]*", block.replace("\\\n", " "))
]


@pytest.mark.parametrize(("name", "line"), COMMANDS)
def test_commands_and_flags_exist(name, line):
    command = line.split("#")[0].rstrip('" ')
    _, _, module, *arguments = command.split()
    if module == "experiments.tour":
        assert arguments == ["runs/tour"]
        return
    known, config = flags_of(module), config_of(arguments)
    for argument in arguments:
        flag = re.fullmatch(r"--([a-z_0-9.]+)(=.+)?", argument)
        assert flag, argument
        if not flag[1].startswith("config."):
            assert flag[1] in known, argument
            continue
        place = config
        for key in flag[1].split(".")[1:]:
            assert key in place, argument
            place = place[key]


@functools.cache
def flags_of(module):
    """Names of a command's flags, as its help has them: two commands in one process would clash."""
    told = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    return set(re.findall(r"^ *--(?:\[no\])?([a-z_]+)", told, re.M))


def config_of(arguments):
    for argument in arguments:
        if argument.startswith("--config="):
            file, name = argument.removeprefix("--config=").split(":")
            assert (ROOT / file).is_file()
            return runpy.run_path(str(ROOT / file))["get_config"](name)
    return None


@pytest.mark.parametrize("name", TEXTS)
def test_flags_in_the_text_exist(name):
    """Of prose and tables: keys of some config, or flags of some command."""
    source = "".join(path.read_text() for path in (ROOT / "experiments").glob("*.py"))
    prose = re.sub(r"^ *```.*?^ *```", "", TEXTS[name], flags=re.S | re.M)
    for flag in re.findall(r"`--([a-z_]+)", prose):
        assert flag == "config" or f'"{flag}"' in source, flag
    assert "--config.data.path" in TEXTS["data"]


def test_reference_has_every_name(tmp_path):
    reference.write_reference(tmp_path, ["jxr", "jxr.optics"])
    for module, page in (("jxr", "jxr.html"), ("jxr.optics", "jxr/optics.html")):
        text = (tmp_path / page).read_text()
        names = importlib.import_module(module).__all__
        assert [name for name in names if f'id="{name}"' not in text] == []
    assert len(reference.every_module()) > 100


def error(images, sharp, part=()):
    return float(np.mean((np.asarray(images) - np.asarray(sharp))[part] ** 2))
