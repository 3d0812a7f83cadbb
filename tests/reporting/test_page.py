"""The page: complete, escaped, and in need of nothing else."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from jxr.reporting import write_figures, write_page, write_report
from jxr.reporting.report import report_kernels
from tests.reporting.fake_results import fake_kernels, fake_results

VOID = {"meta", "img", "br"}


class Checker(HTMLParser):
    """Collects the text, the tags and every address; notes tags that are not closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.addresses, self.words = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for key, value in attributes if key in ("src", "href", "srcset")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def read(path):
    checker = Checker()
    checker.feed(path.read_text(encoding="utf-8"))
    checker.close()
    assert checker.open == []
    return checker, "\n".join(checker.words)


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    return write_figures(fake_results(), tmp_path_factory.mktemp("f"), fake_kernels(), 2.0)


def test_page_is_complete_and_self_contained(tmp_path, figures):
    path = tmp_path / "deep" / "index.html"
    write_page(fake_results(), figures, path)
    checker, text = read(path)
    for heading in ("Classification", "Do two classifiers differ?", "Restoration", "Provenance"):
        assert heading in text
    assert "Normal vs pneumonia on 624 test images and Bacterial vs viral on 390" in text
    assert "Restoration: U-Net and Wiener, on 624 test images." in text
    assert "0.8750" in text
    assert "1.110e-04" in text
    assert "config.weights.kind" in text
    assert checker.tags.count("img") == 4
    assert checker.tags.count("table") == 4
    assert all(address.startswith("data:image/svg+xml;base64,") for address in checker.addresses)
    assert not re.search(r"url\(|@import|<script|https?://", path.read_text(encoding="utf-8"))
    assert [file.name for file in path.parent.iterdir()] == ["index.html"]


def test_everything_is_escaped(tmp_path):
    attack = "<script>alert('x')</script>&\""
    results = fake_results()
    results["classification"][0]["recipe"] = attack
    results["paired"][0]["classifier_a"] = attack
    results["restoration"][0]["method"] = attack
    results["provenance"]["config"][attack] = attack
    path = tmp_path / "index.html"
    write_page(results, {}, path, notes=[attack])
    checker, text = read(path)
    assert "script" not in checker.tags
    # Recipe, classifier, method twice (summary and table), key and value of the config, note.
    assert text.count(attack) == 7


def test_random_kernels_are_said_at_the_top(tmp_path):
    results = fake_results()
    path = tmp_path / "index.html"
    write_page(results, {}, path, notes=["Phantoms."])
    _, before = read(path)
    results["provenance"]["config"]["weights"]["kind"] = "random"
    write_page(results, {}, path, notes=["Phantoms."])
    _, after = read(path)
    assert "seeded random numbers" not in before
    assert after.index("seeded random numbers") < after.index("Phantoms.")


def test_empty_sections_are_left_out(tmp_path):
    empty = fake_results() | {"classification": [], "restoration": [], "paired": [], "roc": []}
    path = tmp_path / "index.html"
    write_page(empty, {}, path)
    checker, text = read(path)
    assert "Restoration" not in text
    assert "Provenance" in text
    assert checker.tags.count("table") == 1


def test_unknown_figure_is_refused_and_the_old_page_stays(tmp_path):
    path = tmp_path / "index.html"
    path.write_text("old")
    with pytest.raises(ValueError, match="kernle"):
        write_page(fake_results(), {"kernle": tmp_path / "a.svg"}, path)
    assert path.read_text() == "old"


def test_write_report(tmp_path):
    write_report(fake_results(), tmp_path / "report")
    checker, _ = read(tmp_path / "report" / "index.html")
    assert len(checker.addresses) == 4
    assert (tmp_path / "report" / "figures" / "roc.png").stat().st_size > 10_000
    tables = (tmp_path / "report" / "tables.md").read_text()
    assert tables.count("## ") == 3
    assert "0.8750" in tables


def test_report_kernels_are_those_of_the_formulas():
    kernels = report_kernels(2.0, "point")
    expected = fake_kernels(2.0)
    assert set(kernels) == set(expected)
    for convention, kernel in expected.items():
        np.testing.assert_allclose(kernels[convention], kernel, rtol=1e-5)
