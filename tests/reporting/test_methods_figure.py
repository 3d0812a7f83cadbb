"""The chart of restoration methods: what is drawn where."""

import pytest

from jxr.reporting.methods_figure import SHOWN, methods_figure


def rows():
    for precision, noise in (("float32", 0.0), ("8bit", 0.0), ("float32", 0.01)):
        for sigma in (1.0, 2.0):
            base = {
                "sigma": sigma, "convention": "standard", "input_precision": precision,
                "noise": noise,
            }  # fmt: skip
            yield {**base, "method": "wiener", "recipe": "spectra-test-oracle", "mse": 2e-4}
            yield {**base, "method": "wiener", "recipe": "flat-validation", "mse": 3e-4}
            yield {**base, "method": "none", "recipe": "none", "mse": 8e-4}
            yield {**base, "method": "none", "recipe": "none-host-blur", "mse": 1.0}


def test_errors_are_drawn_in_units_of_the_limit():
    figure = methods_figure(list(rows()))
    assert [axes.get_title() for axes in figure.axes] == [
        "input float32, noise 0",
        "input 8bit, noise 0",
        "input float32, noise 0.01",
    ]
    for axes in figure.axes:
        drawn = [
            (float(line.get_xdata()[0]), int(line.get_ydata()[0]))
            for line in axes.lines
            if len(line.get_xdata()) == 1
        ]
        expected = [(1.5, 1), (4.0, 1), (1.5, 0), (4.0, 0)]
        assert drawn == [(pytest.approx(x), y) for x, y in expected]
        names = [label.get_text() for label in axes.get_yticklabels()]
        assert names == [
            "\N{GREEK SMALL LETTER SIGMA} 2, standard",
            "\N{GREEK SMALL LETTER SIGMA} 1, standard",
        ]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(SHOWN.values())
