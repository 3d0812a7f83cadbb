"""The lens in a real browser: every picture of an example shows the same pixels, as blocks."""

import re

import numpy as np
import pytest

from jxr.reporting.examples import error_limit
from tests.reporting.screen import FILM, SIZE, SLIDER, blocks, bytes_of

pytestmark = pytest.mark.browser

RESTORERS = ("unet", "wiener")


def said(page):
    """What the first example says of its lens."""
    return page.locator(".lens output").first.inner_text()


def button(page, name):
    return page.get_by_role("button", name=name, exact=True).first


def films(page):
    """The views of the first example: original, blurred, then recovered and error in turns."""
    return page.locator(".example").first.locator(".film .view")


def away(page):
    """Takes the pointer off the pictures, with the frame that follows it."""
    page.mouse.move(2, 2)


def shows(page, examples, zoom, rows, columns):
    """Checks that all grey pictures of the first example show these pixels, each as a block."""
    expected = [examples.original, examples.blurred, *(examples.recovered[r] for r in RESTORERS)]
    for number, images in zip((0, 1, 2, 4), expected, strict=True):
        seen = blocks(films(page).nth(number), FILM * zoom)
        np.testing.assert_array_equal(seen, bytes_of(images[0])[rows, columns], strict=True)
    stack = blocks(page.locator(".stack").first, SLIDER * zoom)
    cut = len(stack) // 2
    near = 1 if zoom > 1 else 4  # the line and its handle
    left, right = slice(0, cut - near), slice(cut + near, None)
    for side, images in ((left, expected[1]), (right, expected[2])):
        wanted = bytes_of(images[0])[rows, columns]
        np.testing.assert_array_equal(stack[:, side], wanted[:, side])


def test_buttons_enlarge_all_pictures_of_an_example_and_no_others(opened, examples):
    page = opened()
    whole = slice(0, SIZE)
    assert said(page) == "the whole picture"
    shows(page, examples, 1, whole, whole)
    assert button(page, "Zoom out").is_disabled()
    assert button(page, "Whole picture").is_disabled()
    maps = [blocks(films(page).nth(number), FILM) for number in (3, 5)]
    other = page.locator(".example").nth(1).locator(".film .view").first
    before = blocks(other, FILM)
    button(page, "Zoom in").click()
    button(page, "Zoom in").click()
    away(page)
    assert said(page) == "4 times, around row 32, column 32"
    middle = slice(24, 40)
    shows(page, examples, 4, middle, middle)
    for number, pixels in zip((3, 5), maps, strict=True):
        enlarged = blocks(films(page).nth(number), 4 * FILM)
        np.testing.assert_array_equal(enlarged, pixels[middle, middle])
    np.testing.assert_array_equal(blocks(other, FILM), before)
    for _ in range(2):
        button(page, "Zoom in").click()
    assert button(page, "Zoom in").is_disabled()
    button(page, "Zoom out").click()
    assert said(page).startswith("8 times")
    button(page, "Whole picture").click()
    away(page)
    shows(page, examples, 1, whole, whole)


def test_the_slider_still_cuts_where_it_stands(opened, examples):
    page = opened()
    button(page, "Zoom in").click()
    slider = page.locator(".stack input").first
    slider.focus()
    page.keyboard.press("Home")
    page.keyboard.press("+")
    away(page)
    assert said(page).startswith("4 times")
    assert slider.input_value() == "0"
    stack = blocks(page.locator(".stack").first, 4 * SLIDER)
    recovered = bytes_of(examples.recovered["unet"][0])
    np.testing.assert_array_equal(stack[:, 2:], recovered[24:40, 26:40])
    page.keyboard.press("ArrowRight")  # is the slider's, and not the lens's
    assert slider.input_value() == "1"
    assert said(page).endswith("row 32, column 32")


def test_keyboard(opened, examples):
    page = opened()
    group = page.get_by_role("group", name="pictures: normal")
    group.focus()
    page.keyboard.press("ArrowRight")
    assert said(page) == "the whole picture"  # there is nowhere to go
    for key in ("+", "=", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    # An eighth of the 16 pixels that are seen, each time.
    assert said(page) == "4 times, around row 30, column 36"
    away(page)
    shows(page, examples, 4, slice(22, 38), slice(28, 44))
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    away(page)
    shows(page, examples, 4, slice(22, 38), slice(0, 16))
    page.keyboard.press("-")
    assert said(page).startswith("2 times")
    page.keyboard.press("0")
    assert said(page) == "the whole picture"
    page.keyboard.press("+")
    page.keyboard.press("Escape")
    assert said(page) == "the whole picture"
    page.keyboard.press("Control++")  # is the browser's
    assert said(page) == "the whole picture"


def test_wheel_turns_the_page_until_a_picture_was_clicked(opened, examples):
    page = opened()
    film = films(page).first
    film.scroll_into_view_if_needed()
    box = film.bounding_box()
    at = box["x"] + 3.5 * box["width"] / 4, box["y"] + box["height"] / 8
    before = page.evaluate("scrollY")
    page.mouse.move(*at)
    page.mouse.wheel(0, -80)
    page.wait_for_function("before => scrollY < before", arg=before)
    assert said(page) == "the whole picture"
    page.evaluate("y => scrollTo(0, y)", before)
    page.mouse.click(*at)
    for _ in range(2):
        page.mouse.wheel(0, -100)
    page.wait_for_function("document.querySelector('.lens output').textContent.startsWith('4')")
    assert page.evaluate("scrollY") == before
    away(page)
    # The pixel under the pointer stayed there.
    shows(page, examples, 4, slice(6, 22), slice(42, 58))


def test_trackpads_pinch_and_mice_drag(opened, examples):
    page = opened()
    film = films(page).nth(3)
    film.scroll_into_view_if_needed()
    box = film.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -500)
    page.mouse.wheel(0, -500)
    page.keyboard.up("Control")
    page.wait_for_function("document.querySelector('.lens output').textContent.startsWith('4')")
    page.mouse.down()
    page.mouse.move(x - 32, y + 16, steps=4)
    page.mouse.up()
    page.mouse.move(x, y)  # the button is up: nothing moves
    away(page)
    shows(page, examples, 4, slice(23, 39), slice(26, 42))
    page.mouse.dblclick(x, y)
    assert said(page).startswith("8 times")


def test_two_fingers(opened, examples):
    page = opened(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    film = films(page).first
    film.scroll_into_view_if_needed()
    box = film.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = page.context.new_cdp_session(page)

    def fingers(kind, *places):
        points = [{"x": x + dx, "y": y, "id": i} for i, dx in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", -20, 20)
    for spread in (30, 50, 80):
        fingers("touchMove", -spread, spread)
    fingers("touchEnd")
    assert said(page) == "4 times, around row 32, column 32"
    assert page.evaluate("visualViewport.scale") == 1
    fingers("touchStart", 0)
    for dx in (8, 16, 32):
        fingers("touchMove", dx)
    fingers("touchEnd")
    assert said(page) == "4 times, around row 32, column 30"
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")


def test_values_at_the_pointer(opened, examples):
    page = opened()
    button(page, "Zoom in").click()
    film = films(page).first
    film.scroll_into_view_if_needed()
    box = film.bounding_box()
    lines = page.locator(".example").first.locator(".film .value")
    limit = error_limit(examples)
    worst = np.unravel_index(examples.errors("unet")[0, 16:48, 16:48, 0].argmax(), (32, 32))
    for row, column in ((20, 45), (16 + worst[0], 16 + worst[1])):
        step = 2 * FILM
        page.mouse.move(box["x"] + (column - 16 + 0.5) * step, box["y"] + (row - 15.5) * step)
        assert page.locator(".place").first.inner_text() == f"pointer on row {row}, column {column}"
        found = lines.all_inner_texts()
        images = [examples.original, examples.blurred, *(examples.recovered[r] for r in RESTORERS)]
        for number, image in zip((0, 1, 2, 4), images, strict=True):
            grey = np.rint(image[0, row, column, 0] * 255) / 255
            assert found[number] == f"here {grey:.3f}"
        for number, restorer in zip((3, 5), RESTORERS, strict=True):
            error = examples.errors(restorer)[0, row, column, 0]
            if error >= limit:
                assert found[number] == f"here {limit:.2g} and more"
            else:
                value = float(re.fullmatch(r"here ([\d.e-]+)", found[number])[1])
                assert abs(value - error) < limit / 256 + 0.05 * error
    assert page.locator(".frame:visible").count() == 8
    framed = page.locator(".film .frame").first.bounding_box()
    assert framed["width"] == framed["height"] == 2 * FILM
    away(page)
    assert lines.all_inner_texts() == [""] * 6
    assert page.locator(".frame:visible").count() == 0
    page.get_by_role("group", name="pictures: normal").focus()
    page.keyboard.press("+")  # without a pointer, it is the middle
    grey = np.rint(examples.original[0, 32, 32, 0] * 255) / 255
    assert lines.first.inner_text() == f"here {grey:.3f}"
