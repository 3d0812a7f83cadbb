"""The README's tables are those of the committed results, to the letter."""

import json
from pathlib import Path

from jxr.reporting import summary

ROOT = Path(__file__).resolve().parents[1]


def test_tables_of_the_readme_are_the_committed_results():
    path = ROOT / "experiments" / "results" / "kermany" / "results.json"
    assert summary(json.loads(path.read_text())) in (ROOT / "README.md").read_text()
