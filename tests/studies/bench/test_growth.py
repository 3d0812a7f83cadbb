"""How cost grows: known time and memory are found, exponents by hand, the command, its chart."""

import json

import numpy as np
import pytest

from jxr.errors import UserError
from jxr.reporting.growth_figure import NAMES, growth_figure
from jxr.studies.bench.fresh_process import in_fresh_process
from jxr.studies.bench.growth import IMAGE_WORK, SWEEP_WORK, exponents, growth, image_row, sweep_row
from tests.commands import ROOT, call, python, the_error
from tests.studies.bench.known_cost import known_cost


def test_time_and_memory_are_those_of_the_work():
    found = in_fresh_process(known_cost)
    assert 0.3 <= found["seconds"] < 3  # writing 160 MB takes its time too
    assert found["peak_mb"] == pytest.approx(160, rel=0.1)  # not what was there before


def test_exponents_by_hand():
    images = [
        {"work": "blur", "size": size, "seconds": 3e-9 * size**2, "peak_mb": 2e-5 * size**3}
        for size in (512, 128, 256)
    ]
    sweeps = [{"work": "heads", "members": k, "seconds": 0.1 * k, "peak_mb": 5.0} for k in (1, 4)]
    assert exponents(images, sweeps) == {
        "blur": {"seconds": 1.0, "peak_mb": 1.5},
        "heads": {"seconds": 1.0, "peak_mb": 0.0},
    }
    assert exponents(images[:1], []) == {}


# Those that the command's own test leaves to this process, where they take less.
@pytest.mark.parametrize("work", [work for work in IMAGE_WORK if work != "blur"])
def test_every_work_on_images_is_measured(work):
    row = image_row(work, 128, 1)
    assert (row["work"], row["size"]) == (work, 128)
    assert row["seconds"] > 0


@pytest.mark.parametrize("work", [work for work in SWEEP_WORK if work != "unets"])
def test_every_sweep_is_measured(work):
    row = sweep_row(work, 2, 1, "tiny")
    assert (row["work"], row["members"]) == (work, 2)
    assert row["seconds"] > 0


# Each row takes a process of its own: the command with a work of each kind.
COMMAND = """
import runpy
from jxr.studies.bench import growth
growth.IMAGE_WORK, growth.SWEEP_WORK = ("blur",), ("unets",)
runpy.run_module("experiments.growth", run_name="__main__")
"""


def test_the_command_measures_in_fresh_processes_and_draws(tmp_path):
    scale = "--sizes=128", "--members=2", "--repeats=1", "--scale=tiny"
    finished = python("-c", COMMAND, f"--output={tmp_path}", *scale)
    assert finished.returncode == 0, finished.stderr
    results = json.loads((tmp_path / "growth.json").read_text())
    assert [(row["work"], row["size"]) for row in results["images"]] == [("blur", 128)]
    assert [(row["work"], row["members"]) for row in results["sweeps"]] == [("unets", 2)]
    assert (tmp_path / "growth.png").stat().st_size > 10_000
    assert not (tmp_path / "unfinished-growth.json").exists()


@pytest.mark.parametrize("sizes", ["224,224", "big", "64", ""])
def test_sizes_are_whole_numbers_each_once(sizes, tmp_path):
    line = the_error(call("growth", f"--output={tmp_path}", f"--sizes={sizes}"))
    assert "--sizes takes whole numbers from 128 on, each once" in line


def test_mistakes_are_one_line(tmp_path):
    assert "--scale=tiny is to try the command" in the_error(call("growth", "--scale=tiny"))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write here"):
        growth((128,), (2,), tmp_path / "file" / "growth.json", repeats=1, scale="tiny")


def test_lines_are_the_rows():
    results = json.loads((ROOT / "experiments/results/growth/growth.json").read_text())
    seconds, memory, sweeps = growth_figure(results).axes
    for axes, table, over, value in (
        (seconds, "images", "size", "seconds"),
        (memory, "images", "size", "peak_mb"),
        (sweeps, "sweeps", "members", "seconds"),
    ):
        *lines, linear = axes.lines
        works = list({row["work"]: None for row in results[table]})
        assert [line.get_label() for line in lines] == [NAMES[work] for work in works]
        for work, line in zip(works, lines, strict=True):
            rows = [row for row in results[table] if row["work"] == work]
            np.testing.assert_array_equal(line.get_xdata(), [row[over] for row in rows])
            np.testing.assert_array_equal(line.get_ydata(), [row[value] for row in rows])
        x, y = linear.get_xdata(), linear.get_ydata()
        slope = np.diff(np.log(y)) / np.diff(np.log(x))
        np.testing.assert_allclose(slope, 1 if table == "sweeps" else 2)
