"""Charts: what they show, read back from the drawn artists."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from jxr.reporting import (
    kernel_figure,
    restoration_figure,
    table1_figure,
    write_figures,
)
from jxr.reporting.adaptation_figure import adaptation_figure
from jxr.reporting.classification_figure import reliability_figure, scores_figure
from jxr.reporting.controls_figure import controls_figure
from jxr.reporting.sweep_figure import sigma_sweep_figure
from tests.reporting.fake_results import (
    classification_row,
    fake_kernels,
    fake_results,
    restoration_row,
)


def points(axes, marker):
    """Sorted (x, y) of all marks of one shape."""
    return sorted(
        (float(x), float(y))
        for line in axes.lines
        if line.get_marker() == marker
        for x, y in line.get_xydata()
    )


def legend_texts(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_kernel_profiles_go_through_the_centre():
    kernels = fake_kernels()
    *images, profiles = kernel_figure(kernels, 2.0).axes
    assert [axes.get_title() for axes in images] == ["standard, \u03c3 = 2", "report, \u03c3 = 2"]
    for line, kernel in zip(profiles.lines, kernels.values(), strict=True):
        radius = len(kernel) // 2
        np.testing.assert_array_equal(line.get_xdata(), np.arange(-radius, radius + 1))
        np.testing.assert_array_equal(line.get_ydata(), kernel[radius])


def test_accuracies_stand_beside_the_reports():
    rows = [
        classification_row(accuracy=0.81, accuracy_ci95=[0.78, 0.84]),
        classification_row(test_on="blurred", accuracy=0.71, accuracy_ci95=[0.68, 0.75]),
        classification_row(test_on="recovered", restorer="wiener", accuracy=0.79),
    ]
    (axes,) = table1_figure(rows).axes
    assert points(axes, "o") == [(0.71, 1), (0.79, 2), (0.81, 0)]
    assert points(axes, "D") == [(0.74, 1), (0.8750, 0)]
    spans = [path.vertices[:, 0].tolist() for c in axes.collections for path in c.get_paths()]
    assert spans == [[0.78, 0.84], [0.68, 0.75], [0.781, 0.841]]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "original → original",
        "original → blurred",
        "original → recovered (Wiener)",
    ]


def test_labels_name_what_differs():
    rows = [
        classification_row(test_on="blurred", noise=noise, convention=convention)
        for noise, convention in ((0.0, "report"), (0.01, "standard"))
    ]
    (axes,) = table1_figure(rows).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "original → blurred · report · noise 0",
        "original → blurred · standard · noise 0.01",
    ]


def test_labels_are_not_cut_where_they_differ():
    rows = [
        classification_row(test_on="recovered", restorer="wiener_net", convention=convention)
        for convention in ("standard", "report")
    ]
    (axes,) = table1_figure(rows).axes
    ends = [label.get_text().split(" · ")[-1] for label in axes.get_yticklabels()]
    assert ends == ["standard", "report"]


def test_the_reports_scores_stand_beside_those_of_its_sigma_only():
    for sigma, shown in ((2.0, [(0.74, 1), (0.875, 0)]), (1.0, [(0.875, 0)])):
        rows = [classification_row(test_on=kind, sigma=sigma) for kind in ("original", "blurred")]
        figure = scores_figure(rows, published=True)
        assert points(figure.axes[0], "D") == shown
        (legend,) = figure.legends
        assert legend_texts(legend) == ["report", "published in the report (recovered: by U-Net)"]
        assert not points(scores_figure(rows, published=False).axes[0], "D")


def test_a_legend_names_the_report_only_where_its_numbers_stand():
    own = [classification_row(task="normal_vs_tb")]
    for figure in (
        table1_figure(own),
        scores_figure(own, published=True),
        restoration_figure([restoration_row(sigma=1.5)]),
    ):
        (legend,) = figure.legends
        assert not [text for text in legend_texts(legend) if "the report" in text]
    (legend,) = table1_figure([classification_row()]).legends
    assert legend_texts(legend) == ["this run, 95 % interval", "the report"]


def test_more_recipes_styles_and_noises_than_there_are_colours_are_drawn_and_told_apart():
    rows = [classification_row(recipe=f"recipe {number}") for number in range(8)]
    figure = scores_figure(rows, published=False)
    marks = {(line.get_color(), line.get_marker()) for line in figure.axes[0].lines}
    assert len(marks) == len(legend_texts(figure.legends[0])) == 8
    met = [{**classification_row(recipe="as trained"), "met": f"style {n}"} for n in range(8)]
    few = [
        {"task": row["task"], "met": row["met"], "images": 8, "accuracy": 0.5,
         "accuracy_90": [0.4, 0.6]}
        for row in met
    ]  # fmt: skip
    assert len(adaptation_figure({"classification": met, "few_images": few}).axes[1].lines) == 8
    swept = [
        classification_row(train_sigma=0.0, noise=noise / 100, test_on=kind)
        for noise in range(8)
        for kind in ("blurred", "recovered")
    ]
    assert len(sigma_sweep_figure({"classification": swept}).axes[0].lines) == 16


def test_restoration_errors_by_input():
    rows = fake_results()["restoration"]
    ideal, noisy = restoration_figure(rows).axes
    assert (ideal.get_title(), noisy.get_title()) == (
        "input float32, noise 0",
        "input 8bit, noise 0.01",
    )
    assert ideal.get_xscale() == "log"
    for axes, noise in ((ideal, 0.0), (noisy, 0.01)):
        expected = sorted(
            row["mse"] for row in rows if row["method"] == "unet" and row["noise"] == noise
        )
        assert [x for x, _ in points(axes, "s")] == expected
    assert [x for x, _ in points(ideal, "D")] == [2.447e-5, 2.447e-5, 1.1102e-4, 1.1102e-4]
    assert points(noisy, "D") == []


def test_an_error_of_0_stands_on_the_left_edge():
    rows = [
        restoration_row(method="none", sigma=0.0, mse=0.0, psnr=None),
        restoration_row(sigma=0.0, mse=1e-9),
        restoration_row(method="none", mse=1e-3),
    ]
    figure = restoration_figure(rows)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    exact, _, blurred = (line for line in axes.lines if line.get_marker() != "D")
    x, y = exact.get_transform().transform(exact.get_xydata())[0]
    assert abs(x - axes.bbox.x0) < 1
    assert abs(y - axes.transData.transform((1e-9, 1))[1]) < 1
    assert exact.get_color() == blurred.get_color()
    assert axes.get_xlim()[0] > 1e-11  # which is not for its sake


def test_restoration_recipes_are_told_apart():
    rows = [
        restoration_row(recipe="width16"),
        restoration_row(recipe="width64"),
        restoration_row(method="none", recipe="none"),
        restoration_row(psf="disk", sigma=None, convention=None),
    ]
    (legend,) = restoration_figure(rows).legends
    assert legend_texts(legend) == [
        "U-Net · width16",
        "U-Net · width64",
        "not restored",
        "the report (U-Net)",
    ]


def test_labels_are_never_formulas():
    rows = [
        classification_row(task="a$x_vs_b$\\frac", recipe="$1"),
        classification_row(recipe="$2"),
    ]
    figure = table1_figure(rows)
    figure.draw_without_rendering()  # a formula that ends too early would be an error here
    assert figure.axes[0].title.get_text() == "a\\$x vs b\\$\\frac (624 images)"


def test_long_names_are_cut():
    (axes,) = table1_figure([classification_row(task="a" * 100)]).axes
    assert axes.get_title() == "a" * 43 + "\N{HORIZONTAL ELLIPSIS}\n(624 images)"


LONG = [
    classification_row(task="Effusion_of_old_people_vs_Pleural_Thickening", test_on=test_on)
    for test_on in ("blurred", "recovered")
]
BINS = {"predicted": [0.2], "observed": [0.3], "count": [9], "ece": 0.1, "test_on": "original"}


@pytest.mark.parametrize(
    "figure",
    [
        table1_figure(LONG),
        scores_figure(LONG, published=True),
        reliability_figure([{**LONG[0], "task": row["task"] + end, **BINS}
                            for row, end in zip(LONG, ("", "s"), strict=True)]),
        controls_figure({"classification": LONG, "matched": LONG}),
        sigma_sweep_figure({"classification": [{**row, "train_sigma": 0.0} for row in LONG]}),
    ],
    ids=("table1", "scores", "reliability", "controls", "sweep"),
)  # fmt: skip
def test_long_titles_lie_within_the_figure_and_apart(figure):
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    places = [axes.title.get_window_extent(renderer) for axes in figure.axes]
    assert all(place.x0 >= 0 and place.x1 <= figure.bbox.width for place in places)
    left, *others = places
    assert not left.count_overlaps(others)


def test_files_are_written_and_repeatable(tmp_path):
    results, kernels = fake_results(), fake_kernels()
    first = write_figures(results, tmp_path / "a", kernels, 2.0)
    assert list(first) == ["structure", "kernel", "unet", "table1", "roc", "restoration"]
    for path in first.values():
        assert path.read_text(encoding="utf-8").startswith("<?xml")
        with Image.open(path.with_suffix(".png")) as image:
            assert image.width > 800
            assert np.asarray(image.convert("L")).std() > 5  # not blank
    results["roc"] = results["restoration"] = []
    second = write_figures(results, tmp_path / "b", kernels, 2.0)
    assert list(second) == ["structure", "kernel", "table1"]
    assert second["table1"].read_bytes() == first["table1"].read_bytes()
