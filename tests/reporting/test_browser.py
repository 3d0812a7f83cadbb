"""The page in a real browser without a network: what it shows, and that the slider moves."""

import numpy as np
import pytest

from tests.reporting.screen import FILM, SIZE, SLIDER, blocks, bytes_of, shot

pytestmark = pytest.mark.browser


def seen(page, number=0):
    """What the slider shows, its yellow line and handle included."""
    return blocks(page.locator(".stack").nth(number), SLIDER)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_opens_without_network_and_without_a_word(opened, scheme):
    page = opened(color_scheme=scheme)
    assert page.title() == "Chest X-rays under focal-spot blur"
    broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert page.evaluate("document.images.length") == 6 + 13 + 4
    assert page.evaluate(broken) == 0
    assert page.evaluate("window.attacked") is None
    assert page.locator(".slider:visible").count() == 2


def test_the_browser_itself_forbids_the_network(browser, address):
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    directive = page.evaluate(
        """new Promise(resolve => {
          document.addEventListener("securitypolicyviolation", e => resolve(e.effectiveDirective));
          fetch("https://example.org/").catch(() => null);
        })"""
    )
    context.close()
    assert directive == "connect-src"


def test_slider_by_keyboard(opened, examples):
    page = opened()
    slider = page.locator(".stack input").first
    slider.focus()
    page.keyboard.press("Home")
    away = slice(8, None)  # the line and its handle are at the left edge
    recovered, blurred = bytes_of(examples.recovered["unet"][0]), bytes_of(examples.blurred[0])
    np.testing.assert_array_equal(seen(page)[:, away], recovered[:, away])
    page.keyboard.press("End")
    np.testing.assert_array_equal(seen(page)[:, :-8], blurred[:, :-8])
    page.keyboard.press("ArrowLeft")
    assert slider.input_value() == "99"
    assert slider.get_attribute("aria-valuetext") == "99 % blurred, the rest recovered (U-Net)"
    clip = page.locator(".over").first.evaluate("e => getComputedStyle(e).clipPath")
    assert clip == "inset(0px 0px 0px 99%)"
    other = page.locator(".over").nth(1).evaluate("e => getComputedStyle(e).clipPath")
    assert other == "inset(0px 0px 0px 50%)"


def test_slider_by_mouse(opened, examples):
    page = opened()
    stack = page.locator(".stack").first
    stack.scroll_into_view_if_needed()
    box = stack.bounding_box()
    assert box["width"] == SIZE * SLIDER
    y = box["y"] + box["height"] / 3
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, y, steps=5)
    page.mouse.up()
    value = int(page.locator(".stack input").first.input_value())
    assert abs(value - 25) <= 1
    shown, cut = seen(page), SIZE // 4
    recovered, blurred = bytes_of(examples.recovered["unet"][0]), bytes_of(examples.blurred[0])
    left, right = slice(0, cut - 4), slice(cut + 4, None)
    np.testing.assert_array_equal(shown[:, left], blurred[:, left])
    np.testing.assert_array_equal(shown[:, right], recovered[:, right])


def test_choice_of_the_restorer(opened, examples):
    page = opened()
    page.locator(".stack input").first.focus()
    page.keyboard.press("Home")
    page.get_by_label("Wiener").first.check()
    expected = bytes_of(examples.recovered["wiener"][0])
    np.testing.assert_array_equal(seen(page)[:, 8:], expected[:, 8:])
    assert page.locator(".after").all_inner_texts() == ["recovered (Wiener)", "recovered (U-Net)"]


def test_dark_changes_the_page_and_no_radiograph(opened, examples):
    pages = [opened(color_scheme=scheme) for scheme in ("light", "dark")]
    grounds = [page.evaluate("getComputedStyle(document.body).backgroundColor") for page in pages]
    assert grounds == ["rgb(255, 255, 255)", "rgb(20, 24, 28)"]
    charts = [shot(page.locator(".chart img").first).mean() for page in pages]
    assert charts[0] > 200
    assert charts[1] < 60
    maps = []
    for page in pages:
        shown = blocks(page.locator(".film .radiograph").first, FILM)
        np.testing.assert_array_equal(shown, bytes_of(examples.original[0]))
        maps.append(blocks(page.locator(".film .map").first, FILM))
    np.testing.assert_array_equal(*maps)
    assert np.ptp(maps[0]) > 100


@pytest.mark.parametrize("density", [1, 3])
def test_a_phone_shows_everything_without_moving_the_page_sideways(opened, density):
    page = opened(viewport={"width": 390, "height": 844}, device_scale_factor=density)
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    for picture in page.locator(".film img, .stack").all():
        box = picture.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert box["width"] >= 150
    # The first chart's smallest words, of 8.5 points, are not shrunk beyond reading.
    chart = page.locator(".chart img").first
    scale = chart.bounding_box()["width"] / chart.evaluate("e => e.naturalWidth")
    assert 8.5 * 96 / 72 * scale > 7
    for panel in page.locator(".panel svg").all():
        assert panel.bounding_box()["width"] > 300


def test_without_script_the_page_is_still_to_be_read(opened):
    page = opened(java_script_enabled=False)
    for hidden in (".slider", ".lens", ".hint", ".stops", ".frame", "th button"):
        assert page.locator(f"{hidden}:visible").count() == 0
    assert page.locator(".film img:visible").count() == 12
    assert page.locator(".mark:visible").count() == 2 * 2 * 2 * 3
    assert page.locator(".panel li").first.inner_text().strip() == "\u25cf blurred"


def test_on_paper_nothing_waits_to_be_touched(opened):
    page = opened()
    page.get_by_role("button", name="Zoom in").first.click()
    page.emulate_media(media="print")
    for hidden in (".slider", ".lens", ".hint", ".stops", ".marker", ".frame"):
        assert page.locator(f"{hidden}:visible").count() == 0
    moved = page.locator(".film img").first.evaluate("e => getComputedStyle(e).transform")
    assert moved == "none"
