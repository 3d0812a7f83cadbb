"""Sorting tables and reading curves off, in a real browser."""

import pytest

from tests.reporting.fake_results import fake_results, fake_sweep

pytestmark = pytest.mark.browser


def column(table, number):
    return [row.locator("td").nth(number).inner_text() for row in table.locator("tbody tr").all()]


def order(table):
    return [head.get_attribute("aria-sort") for head in table.locator("th").all()]


def table_below(page, heading):
    return page.locator(f"h2:text-is('{heading}') ~ .scroll table").first


def test_a_click_sorts_rising_then_falling_then_as_it_was(opened):
    page = opened()
    table = table_below(page, "Scores over sigma")
    sigma, accuracy = 2, 3
    original = column(table, accuracy)
    head = table.get_by_role("columnheader", name="Accuracy").get_by_role("button")
    head.click()
    wanted = sorted(f"{row['accuracy']:.4f}" for row in fake_sweep())
    assert [text.split()[0] for text in column(table, accuracy)] == wanted
    assert order(table) == ["none"] * 3 + ["ascending"] + ["none"] * (len(order(table)) - 4)
    head.focus()
    page.keyboard.press("Enter")
    assert [text.split()[0] for text in column(table, accuracy)] == wanted[::-1]
    assert order(table)[accuracy] == "descending"
    page.keyboard.press("Space")
    assert column(table, accuracy) == original
    assert set(order(table)) == {"none"}
    # Rows that are equal in a column keep their order, whatever was sorted before.
    table.get_by_role("button", name="\u03c3").click()
    assert column(table, sigma) == ["0"] * 4 + ["1"] * 4 + ["2"] * 4
    assert column(table, accuracy)[:4] == original[4:6] + original[10:12]


def test_scientific_numbers_and_dashes(opened):
    page = opened()
    table = table_below(page, "Restoration")
    heads = [text.rstrip() for text in table.locator("th").all_inner_texts()]
    mse, report = heads.index("MSE"), heads.index("Report's MSE")
    table.get_by_role("columnheader", name="MSE").first.get_by_role("button").click()
    found = [float(text) for text in column(table, mse)]
    assert found == sorted(float(f"{row['mse']:.3e}") for row in fake_results()["restoration"])
    head = table.get_by_role("columnheader", name="Report's MSE").get_by_role("button")
    for falling in (False, True):  # what does not exist is last either way
        head.click()
        cells = column(table, report)
        numbers = [float(text) for text in cells if text != "\u2013"]
        assert numbers == sorted(numbers, reverse=falling)
        assert len(set(numbers)) == 2
        assert cells[len(numbers) :] == ["\u2013"] * (len(cells) - len(numbers))


def test_words_and_bounds(opened):
    page = opened()
    table = table_below(page, "Do two classifiers differ?")
    table.get_by_role("button", name="p", exact=True).click()
    assert column(table, 7) == ["< 0.001", "0.875"]
    table.get_by_role("button", name="B", exact=True).click()
    assert column(table, 2) == ["blurred \u2192 blurred", "original \u2192 blurred"]
    table.get_by_role("button", name="Seed", exact=True).click()
    assert column(table, 3) == ["0", "all"]


def test_every_table_but_keys_and_values_can_be_sorted(opened):
    page = opened()
    for table in page.locator("table").all():
        keys = table.locator("xpath=ancestor::details").count()
        assert table.locator("th button").count() == (0 if keys else table.locator("th").count())
    assert page.locator("details table").count() == 1


def readings(page):
    """The numbers beside the legends of the first task: accuracy, then AUC."""
    return page.locator(".sweep").first.locator("li b").all_inner_texts()


def numbers(sigma):
    rows = [row for row in fake_sweep() if row["sigma"] == sigma][:2]
    return [
        "{:.4f} [{:.3f}, {:.3f}]".format(row[score], *row[f"{score}_ci95"])
        for score in ("accuracy", "auc")
        for row in rows
    ]


def test_curves_are_read_off_by_keyboard(opened):
    page = opened()
    slider = page.get_by_label("Normal vs pneumonia", exact=False).first
    assert readings(page) == numbers(1)
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert readings(page) == numbers(2)
    assert page.locator(".stops output").first.inner_text() == "2 pixels"
    spoken = slider.get_attribute("aria-valuetext")
    assert spoken.startswith(f"2 pixels. Accuracy: blurred {numbers(2)[0]}, recovered (Wiener) ")
    assert spoken.endswith(numbers(2)[3])
    page.keyboard.press("Home")
    assert readings(page) == numbers(0)
    other = page.locator(".stops output").nth(1).inner_text()
    assert other == "1 pixels"


def test_curves_are_read_off_by_pointer(opened):
    page = opened()
    charts = page.locator(".sweep").first.locator("svg")
    charts.first.scroll_into_view_if_needed()
    for chart in charts.all():
        box = chart.bounding_box()
        for share, sigma in ((0.15, 0), (0.6, 1), (0.95, 2)):
            page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
            assert readings(page) == numbers(sigma)
            for each in charts.all():  # the line stands on the marks, in both panels
                line = each.locator(".marker").get_attribute("x1")
                mark = each.locator(f'[data-sigma="{sigma}"]').first.get_attribute("transform")
                assert mark.startswith(f"translate({line},")


def test_curves_have_the_colours_of_the_page(opened):
    strokes = []
    for scheme in ("light", "dark"):
        lines = opened(color_scheme=scheme).locator(".panel .line")
        strokes.append([line.evaluate("e => getComputedStyle(e).stroke") for line in lines.all()])
    light, dark = strokes
    assert light[:2] == ["rgb(0, 114, 178)", "rgb(213, 94, 0)"]
    assert dark[:2] == ["rgb(108, 184, 230)", "rgb(240, 135, 74)"]
