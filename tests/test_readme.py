"""The README's tables are those of the committed results, to the letter, and its examples run."""

import json
import re
from pathlib import Path

from jxr.reporting import summary

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_tables_of_the_readme_are_the_committed_results():
    path = ROOT / "experiments" / "results" / "kermany" / "results.json"
    assert summary(json.loads(path.read_text())) in README


def test_examples_of_the_readme_run():
    names: dict = {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", README, re.S)), names)
    assert names["stack"].shape == (9, 4, 224, 224, 1)
    # The focal spot moves light about and loses none at a mirrored edge.
    assert abs(float(names["blurred"].mean()) - 1) < 1e-3


def test_files_that_the_readme_names_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
