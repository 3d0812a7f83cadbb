"""The README's tables are those of the committed results, to the letter, and its examples run."""

import json
import re
from pathlib import Path

from jxr.reporting import summary, to_markdown, without
from jxr.reporting.bench_table import bench_page, bench_table
from jxr.reporting.classification_figure import recipe_table
from jxr.reporting.restorer_figure import limit_table
from jxr.reporting.sweep_figure import break_table

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_tables_of_the_readme_are_the_committed_results():
    assert summary(results("kermany")) in README
    assert to_markdown(limit_table(results("restorer")["restoration"])) in README
    recipes = recipe_table(results("classification_whole")["classification"])
    recipes = without(recipes, {"blurred → original", "blurred → recovered"})
    assert to_markdown(recipes) in README
    page = (ROOT / "experiments" / "results" / "sweep" / "README.md").read_text()
    assert to_markdown(break_table(results("sweep")["breaks"])) in page


def test_rates_of_the_readme_are_those_of_the_peers_that_are_fastest():
    path = ROOT / "experiments" / "results" / "bench.json"
    bench = json.loads(path.read_text())
    assert path.with_suffix(".md").read_text() == bench_page(bench)
    # What a table leaves out stands above it.
    assert {row["unit"] for row in bench} == {"images/s"}
    assert {row["dtype"] for row in bench if row["device"] == "cpu"} == {"float32"}
    for device, above in (("cpu", {"Batch", "Type"}), ("NVIDIA H200", set())):
        rows = [row for row in bench if row["device"] == device]
        kinds = dict.fromkeys((row["what"], variant(row), row["dtype"]) for row in rows)
        hardest = [
            min(
                (row for row in rows if (row["what"], variant(row), row["dtype"]) == kind),
                key=lambda row: row["ratio"],
            )
            for kind in kinds
        ]
        table = without(bench_table(hardest), {"Unit", "Device"} | above)
        assert to_markdown(table) in README
    assert {row["device"] for row in bench} == {"cpu", "NVIDIA H200"}


def variant(row):
    """What else of ours, or what else of the peer's, is measured under the same name."""
    marks = ("ours:", "ours for any PSF", "stacked by", "stationary", "rank 8", "eps")
    return next(
        (row["peer_name"].partition(mark)[1:] for mark in marks if mark in row["peer_name"]), ""
    )


def results(name):
    return json.loads((ROOT / "experiments" / "results" / name / "results.json").read_text())


def test_examples_of_the_readme_run():
    names: dict = {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", README, re.S)), names)
    assert names["stack"].shape == (9, 4, 224, 224, 1)
    # The focal spot moves light about and loses none at a mirrored edge.
    assert abs(float(names["blurred"].mean()) - 1) < 1e-3
    assert names["restored"].shape == names["images"].shape


def test_files_that_the_readme_names_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
