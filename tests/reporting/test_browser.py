"""The page in a real browser without a network: what it shows, and that the slider moves.

Chromium of the system, found by its name or by the environment variable CHROMIUM.
"""

import io
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from jxr.reporting import write_report
from tests.reporting.fake_results import fake_examples, fake_results

pytestmark = pytest.mark.browser

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZE = 64
ZOOM = 7  # 448 / 64
# Words that anyone could have as names of classes and files: long, or hostile.
LONG = "Klebsiella_pneumoniae_" * 6
ATTACK = '<img src=x onerror="window.attacked=1">\'&amp;</style></script>'


@pytest.fixture(scope="module")
def examples():
    return fake_examples(titles=("normal", LONG + ATTACK), size=SIZE)


@pytest.fixture(scope="module")
def address(tmp_path_factory, examples):
    """The address of a page with everything that a page can have."""
    results = fake_results()
    for row in results["classification"] + results["roc"]:
        if row["task"] == "bacterial_vs_viral":
            row["task"] = f"{ATTACK}_vs_{LONG}"
    results["provenance"]["notes"] = [ATTACK, LONG]
    folder = tmp_path_factory.mktemp("report")
    write_report(results, folder, examples=examples)
    return (folder / "index.html").as_uri()


@pytest.fixture(scope="module")
def browser():
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not chromium:
        pytest.skip("no chromium here: install the system's package, or name one by CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def opened(browser, address):
    """Opens the page as a new visitor; at the end, nothing may have gone wrong for any."""
    said, requests, contexts = [], [], []

    def open_page(**settings):
        context = browser.new_context(offline=True, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        return page

    yield open_page
    assert said == []
    assert [url for url in requests if not url.startswith("data:")] == [address] * len(contexts)
    for context in contexts:
        context.close()


def shot(locator):
    """The pixels of an element, as they are on the screen."""
    with Image.open(io.BytesIO(locator.screenshot())) as image:
        return np.asarray(image.convert("RGB"))


def blocks(locator, zoom):
    """The middle of each enlarged pixel of a picture on the screen."""
    pixels = shot(locator)
    return pixels[zoom // 2 : SIZE * zoom : zoom, zoom // 2 : SIZE * zoom : zoom]


def bytes_of(image):
    """An image in [0, 1] as the screen has to show it, three equal channels of 8 bits."""
    return np.repeat(np.rint(image * 255).astype(np.uint8), 3, axis=-1)


def seen(page, number=0):
    """What the slider shows, its yellow line and handle included."""
    return blocks(page.locator(".stack").nth(number), ZOOM)


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
    slider = page.locator("input[type=range]").first
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
    assert box["width"] == SIZE * ZOOM
    y = box["y"] + box["height"] / 3
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, y, steps=5)
    page.mouse.up()
    value = int(page.locator("input[type=range]").first.input_value())
    assert abs(value - 25) <= 1
    shown, cut = seen(page), SIZE // 4
    recovered, blurred = bytes_of(examples.recovered["unet"][0]), bytes_of(examples.blurred[0])
    left, right = slice(0, cut - 4), slice(cut + 4, None)
    np.testing.assert_array_equal(shown[:, left], blurred[:, left])
    np.testing.assert_array_equal(shown[:, right], recovered[:, right])


def test_choice_of_the_restorer(opened, examples):
    page = opened()
    page.locator("input[type=range]").first.focus()
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
    zoom = 4  # 256 / 64, about 224
    maps = []
    for page in pages:
        shown = blocks(page.locator(".film .radiograph").first, zoom)
        np.testing.assert_array_equal(shown, bytes_of(examples.original[0]))
        maps.append(blocks(page.locator(".film .map").first, zoom))
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
