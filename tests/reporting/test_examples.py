"""Examples: what goes into the pictures is what comes out of them."""

import io

import jaxtyping
import numpy as np
import pytest
from PIL import Image

from jxr.reporting import Examples, examples_figure
from jxr.reporting.examples import error_limit, error_png, grey_png, scale_png, scores
from tests.reporting.fake_results import fake_examples


def decoded(data):
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def with_errors(*errors):
    """One image a number, 8x8, each pixel of which is wrong by that number."""
    original = np.full((len(errors), 8, 8, 1), 0.5, np.float32)
    recovered = original + np.array(errors, np.float32)[:, None, None, None]
    titles = tuple(str(error) for error in errors)
    return Examples(titles, original, original, {"unet": recovered})


def test_grey_values_are_rounded_and_clipped():
    image = np.array([[0.0, 1.0, 0.5, 100.4 / 255, 100.6 / 255, -0.2, 1.7]], np.float32)[..., None]
    pixels = decoded(grey_png(image))
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == [[0, 255, 128, 100, 101, 0, 255]]


def test_errors_are_brighter_the_larger_they_are():
    colours = decoded(error_png(np.array([[0, 0.25, 0.5, 1.0, 3.0]])[..., None], 1.0)).astype(int)
    lightness = colours[0] @ [3, 6, 1]  # about how bright the eye sees red, green and blue
    assert (np.diff(lightness[:4]) > 0).all()
    assert colours[0, 0].max() < 10  # no error is black
    np.testing.assert_array_equal(colours[0, 3], colours[0, 4])
    np.testing.assert_array_equal(decoded(scale_png())[0, [0, -1]], colours[0, [0, 3]])


def test_one_scale_for_all_restorers():
    # 4,096 pixels of error 0.1 from one restorer, as many of 0.3 from the other.
    original = np.zeros((1, 64, 64, 1), np.float32)
    recovered = {"unet": original + 0.1, "wiener": original + 0.3}
    assert error_limit(Examples(("a",), original, original, recovered)) == pytest.approx(0.3)


@pytest.mark.parametrize(("error", "limit"), [(0.0, 0.004), (1e-5, 0.004), (0.0123, 0.013)])
def test_the_scale_is_rounded_up_and_at_least_a_step_of_8_bits(error, limit):
    assert error_limit(with_errors(error)) == pytest.approx(limit)


def test_a_few_large_errors_do_not_set_the_scale():
    examples = with_errors(*[0.01] * 4)
    examples.recovered["unet"][0, 0, 0] = 1.0  # one of 256 pixels
    assert error_limit(examples) == pytest.approx(0.01, rel=1e-5)


def test_scores_by_hand():
    examples = with_errors(0.1, 0.0)
    texts = scores(examples.original, examples.recovered["unet"])
    assert texts == ["MSE 1.00e-02, 20.0 dB", "MSE 0.00e+00, exact"]


def test_the_panel_has_every_picture_and_one_scale():
    examples = fake_examples(titles=("$a", "b"))
    figure = examples_figure(examples)
    figure.draw_without_rendering()
    panels = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in panels[:6]] == [
        "original",
        "blurred",
        "recovered (U-Net)",
        "recovered (Wiener)",
        "error (U-Net)",
        "error (Wiener)",
    ]
    drawn = [np.asarray(axes.images[0].get_array()) for axes in panels]
    expected = [examples.original, examples.blurred, *examples.recovered.values()]
    for row in (0, 1):
        for column, images in enumerate(expected):
            np.testing.assert_array_equal(drawn[6 * row + column], images[row, ..., 0])
        wiener = np.abs(examples.recovered["wiener"] - examples.original)[row, ..., 0]
        np.testing.assert_array_equal(drawn[6 * row + 5], wiener)
    limits = {axes.images[0].get_clim() for axes in panels if "error" in axes.get_title()}
    assert limits == {(0, error_limit(examples))}


def test_arrays_of_other_images_are_refused():
    images = np.zeros((2, 8, 8, 1), np.float32)
    with pytest.raises(ValueError, match="titles"):
        Examples(("a",), images, images, {"unet": images})
    # The run-time check of the signature is before the one that is always there.
    with pytest.raises((ValueError, jaxtyping.TypeCheckError), match=r"shapes|f32\[2,4,8,1\]"):
        Examples(("a", "b"), images, images, {"unet": images[:, :4]})
    with pytest.raises(ValueError, match="at least one"):
        Examples(("a", "b"), images, images, {})
