"""The page: complete, escaped, and in need of nothing else."""

import base64
import hashlib
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from jxr.reporting import write_figures, write_page, write_report
from jxr.reporting.html import SCRIPTS
from jxr.reporting.page import STRESS_TEST
from jxr.reporting.report import report_kernels
from jxr.studies.field.clinical import geometry_rows
from jxr.studies.field.exposures import EXPOSURES
from tests.reporting.fake_results import (
    fake_band,
    fake_examples,
    fake_kernels,
    fake_results,
    fake_sweep,
)

VOID = {"meta", "img", "br", "input"}
ATTACK = "<script>alert('x')</script>&\""


class Checker(HTMLParser):
    """Collects the text, the tags and every address; notes tags that are not closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.addresses, self.words, self.ids = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for key, value in attributes if key in ("src", "href", "srcset")]
        self.ids += [value for key, value in attributes if key == "id"]
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
    headings = "Structure", "Blur", "Classification", "Do two classifiers differ?", "Restoration"
    for heading in (*headings, "Provenance", "Figure 1.", "Figure 2.", "Figure 3.", "Figure 4."):
        assert heading in text
    assert "Normal vs pneumonia on 624 test images and Bacterial vs viral on 390" in text
    assert "Restoration: U-Net and Wiener, on 624 test images." in text
    assert "0.8750" in text
    assert "1.110e-04" in text
    assert "config.weights.kind" in text
    assert "a patient's images together" in text  # not images, in whose numbers p would be smaller
    assert checker.tags.count("img") == 6
    assert checker.tags.count("table") == 5
    links = [address[1:] for address in checker.addresses if address.startswith("#")]
    assert links == checker.ids
    assert len(links) == 6
    images = [address for address in checker.addresses if not address.startswith("#")]
    assert all(address.startswith("data:image/svg+xml;base64,") for address in images)
    assert not re.search(r"url\(|@import|https?://", path.read_text(encoding="utf-8"))
    assert [file.name for file in path.parent.iterdir()] == ["index.html"]


def test_everything_is_escaped(tmp_path):
    results = fake_results()
    results["classification"][0]["recipe"] = ATTACK
    results["classification"][1]["task"] = ATTACK
    results["paired"][0]["classifier_a"] = ATTACK
    results["restoration"][0]["method"] = ATTACK
    results["sweep"] = fake_sweep()
    results["sweep"][0]["task"] = ATTACK
    for row in results["sweep"]:
        row["restorer"] = row["restorer"] and ATTACK
    results["provenance"]["config"][ATTACK] = ATTACK
    results["provenance"]["notes"] = [ATTACK]
    path = tmp_path / "index.html"
    examples = fake_examples(titles=(ATTACK,), restorers=("unet", ATTACK))
    write_page(results, {}, path, examples=examples)
    checker, text = read(path)
    assert checker.tags.count("script") == len(SCRIPTS)  # the page's own
    # Recipe in two tables; task in the summary and two tables; classifier; method in the summary
    # and a table; key and value of the config; note; title; restorer of two films and a choice;
    # a task of the sweep in a heading, a slider and a table; its restorer in four panels and six
    # rows of the table.
    assert text.count(ATTACK) == 2 + 3 + 1 + 2 + 2 + 1 + 1 + 3 + 3 + 4 + 6


def test_the_page_allows_its_own_style_and_script_and_nothing_else(tmp_path):
    path = tmp_path / "index.html"
    write_page(fake_results(), {}, path)
    page = path.read_text(encoding="utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in policy
    for tag, count in (("style", 1), ("script", len(SCRIPTS))):
        contents = re.findall(rf"<{tag}\b[^>]*>(.*?)</{tag}>", page, re.DOTALL)
        hashes = [base64.b64encode(hashlib.sha256(x.encode()).digest()).decode() for x in contents]
        allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
        assert len(hashes) == count
        assert f"; {tag}-src {allowed};" in policy
    assert not re.search(r"<[^>]* (style|on[a-z]+)=", page)


def test_notes_of_the_run_stand_at_the_top_once(tmp_path):
    results = fake_results()
    results["provenance"]["notes"] = ["Phantoms.", "Own images.", "Phantoms."]
    path = tmp_path / "index.html"
    write_page(results, {}, path)
    notes = re.findall(r'<p class="note">(.*?)</p>', path.read_text(encoding="utf-8"))
    assert notes == ["Phantoms.", "Own images."]


def test_bands_are_explained_where_there_are_any(tmp_path, figures):
    pages = []
    for bands in ([], [fake_band()]):
        write_page(fake_results() | {"roc_band": bands}, figures, tmp_path / "index.html")
        pages.append(read(tmp_path / "index.html")[1])
    assert ["not stratified" in page for page in pages] == [True, True]
    assert ["Bands are" in page for page in pages] == [False, True]


def test_what_is_the_same_in_all_rows_is_said_once(tmp_path):
    results = fake_results()
    results["restoration"][3]["n"] = 100
    path = tmp_path / "index.html"
    write_page(results, {}, path)
    _, text = read(path)
    assert "In all rows: PSF: gaussian." in text
    assert "In all rows: Seeds: 2, Recipe: report." in text


def test_table_1_has_the_classifiers_of_one_kind(tmp_path):
    path = tmp_path / "index.html"
    write_page(fake_results(), {}, path)
    table = (
        path.read_text(encoding="utf-8").split('<table class="sortable">')[1].split("</table>")[0]
    )
    arms = re.findall(r"<td>([a-z]+ → [^<]*)</td>", table)
    assert arms == ["original → original", "blurred → blurred"] * 2
    for number in ("0.8750", "0.8702", "0.9120", "0.8974"):
        assert table.count(f">{number}<") == 1


def test_of_questions_that_the_report_did_not_ask_no_empty_column_is_shown(tmp_path):
    results, path = fake_results(), tmp_path / "index.html"
    write_page(results, {}, path)
    asked = path.read_text(encoding="utf-8")
    for row in results["classification"]:
        row["task"] = "normal_vs_tb"
    write_page(results, {}, path)
    others = path.read_text(encoding="utf-8")
    for text, times in ((">Report</th>", 2), ("Table 1, beside the report", 1)):
        assert asked.count(text) == times
        assert text not in others


def test_of_questions_that_the_report_did_not_ask_nothing_speaks_of_its_numbers(tmp_path):
    results = fake_results()
    for row in results["classification"] + results["roc"]:
        row["task"] = "normal_vs_tb"
    for row in results["restoration"]:
        row["sigma"] += 0.5
    write_report(results, tmp_path)
    tables = (tmp_path / "tables.md").read_text()
    assert " Report |" not in tables
    assert "Report's MSE" not in tables
    assert "diamonds" not in (tmp_path / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("restorers", [("unet",), ("unet", "wiener")])
def test_examples_on_the_page(tmp_path, restorers):
    examples = fake_examples(restorers=restorers)
    path = tmp_path / "index.html"
    write_page(fake_results(), {}, path, examples=examples)
    checker, text = read(path)
    films = [address for address in checker.addresses if address.startswith("data:image/png")]
    # A scale; for each image: original, blurred, and each recovered one with its errors.
    assert len(films) == 1 + 2 * (2 + 2 * len(restorers))
    assert len(set(films)) == len(films)
    with Image.open(io.BytesIO(base64.b64decode(films[1].split(",")[1]))) as image:
        expected = np.rint(examples.original[0, ..., 0] * 255)
        np.testing.assert_array_equal(np.asarray(image), expected)
    error = np.mean((examples.blurred[1].astype(float) - examples.original[1]) ** 2)
    assert f"MSE {error:.2e}, {-10 * np.log10(error):.1f} dB" in text
    assert "Figure 5: normal" in text
    assert "Figure 6: bacteria" in text
    assert "\u03c3 2 px standard, noise 0, float32, reflect boundary, radius 8" in text
    choices = path.read_text(encoding="utf-8").count('<input type="radio"')
    assert choices == (4 if len(restorers) > 1 else 0)


def test_random_weights_are_said_at_the_top(tmp_path):
    results = fake_results()
    results["provenance"]["notes"] = ["Phantoms."]
    path = tmp_path / "index.html"
    write_page(results, {}, path)
    _, before = read(path)
    results["provenance"]["config"]["weights"]["kind"] = "random"
    write_page(results, {}, path)
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
    panel = tmp_path / "report" / "figures" / "examples.png"
    sweep = tmp_path / "report" / "figures" / "sweep.png"
    results = fake_results() | {"sweep": fake_sweep()}
    write_report(results, tmp_path / "report", examples=fake_examples())
    checker, _ = read(tmp_path / "report" / "index.html")
    assert checker.tags.count("img") == 6 + 13
    assert checker.tags.count("svg") == 4
    assert panel.stat().st_size > 10_000
    assert sweep.stat().st_size > 10_000
    assert (tmp_path / "report" / "tables.md").read_text().count("## ") == 4
    write_report(fake_results(), tmp_path / "report")
    checker, _ = read(tmp_path / "report" / "index.html")
    assert checker.tags.count("img") == 6
    assert checker.tags.count("svg") == 0
    assert not panel.exists()  # those of another call
    assert not sweep.exists()
    assert (tmp_path / "report" / "figures" / "roc.png").stat().st_size > 10_000
    tables = (tmp_path / "report" / "tables.md").read_text()
    assert tables.count("## ") == 3
    assert "0.8750" in tables


def test_the_penumbra_is_that_of_the_exposures():
    low, high = (
        row["penumbra_px_small"]
        for row in geometry_rows({key: EXPOSURES[key] for key in ("chest_pa", "paediatric")}, 224)
        if row["spot_mm"] == [1.0, 1.0]
    )
    heights = [EXPOSURES[key].field_mm[0] / 10 for key in ("chest_pa", "paediatric")]
    assert f"{low:.2f} to {high:.2f} pixels" in STRESS_TEST
    assert "{:g} or {:g} cm".format(*heights) in STRESS_TEST


def test_report_kernels_are_those_of_the_formulas():
    kernels = report_kernels(2.0, "point")
    expected = fake_kernels(2.0)
    assert set(kernels) == set(expected)
    for convention, kernel in expected.items():
        np.testing.assert_allclose(kernels[convention], kernel, rtol=1e-5)
