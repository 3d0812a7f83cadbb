"""Charts and tables of the field study, read back from what was drawn and written."""

import numpy as np
import pytest
from PIL import Image

from jxr.reporting.field_figure import (
    clinical_figure,
    growth_figure,
    write_field,
    zones_figure,
)
from jxr.reporting.field_tables import blur_table, clinical_table, restoration_table

ZONES = ("anode_side", "centre", "cathode_side")


def row(model, method, errors, scale=1.0, **changes):
    return {
        "exposure": "incubator",
        "noise": 0.01,
        "method": method,
        "model": model,
        "strength": None if method == "none" else 0.1,
        "spot_scale": scale,
        "n": 2,
        "mse": float(np.mean(errors)),
        "psnr": 30.0,
        "mse_by_zone": dict(zip(ZONES, errors, strict=True)),
        "mse_of_images": [errors[0], errors[2]],
        **changes,
    }


@pytest.fixture
def results():
    geometry = {
        "focal_spot_mm": [2.4, 1.7],
        "magnification": 4 / 3,
        "pixel_pitch_mm": 0.234,
    }
    error = {"psf_error_mean": 0.1, "psf_error_max": 0.25, "image_rmse": 1e-3}
    growth = [
        {
            "operator": operator, "size": size, "seconds": seconds * size**2, "peak_mb": size / 4,
            "temporary_mb": 1.0, "image_mb": 0.1, "psf_error_max": None,
        }
        for operator, seconds in (
            ("stationary", 1e-8), ("low_rank", 4e-8), ("tiled", 3e-8), ("dense", 1e-6)
        )
        for size in ((256,) if operator == "dense" else (256, 512))
    ]  # fmt: skip
    growth.append({"operator": "dense", "size": 512, "seconds": 0.262, "extrapolated": True})
    exposure = {
        "exposure": "chest_pa",
        "title": "chest PA",
        "spot_mm": [1.0, 1.0],
        "magnification": 1.111,
        "penumbra_mm": 0.111,
        "penumbra_px_small": 0.058,
        "sigma_px_detector": [0.23, 0.23],
        "sigma_px_small": [0.0167, 0.02],
        "sigma_px_small_cathode_edge": [0.026, 0.02],
        "mse_centre": 1e-9,
        "mse_cathode_edge": 5e-9,
    }
    return {
        "fields": [
            {
                "exposure": "incubator",
                "title": "incubator tray",
                "geometry": geometry,
                "sigma_px": {
                    "anode_edge": [0.3, 0.7],
                    "centre": [1, 0.7],
                    "cathode_edge": [1.7, 1],
                },
                "rank": 12,
                "errors": {"stationary": error, "low_rank": error},
            }
        ],
        "restoration": [
            row("none", "none", [1e-4, 2e-4, 4e-4]),
            row("stationary", "tikhonov_gradient", [2e-4, 1e-4, 4e-4]),
            row("best stationary", "tikhonov_gradient", [1e-4, 1e-4, 3e-4], 1.2),
            row("shift-variant", "tikhonov_gradient", [0.5e-4, 1e-4, 3.5e-4]),
        ],
        "growth": {"psf_pixels": 17, "rank": 8, "tile": 64, "rows": growth},
        "clinical": {
            "n": 624,
            "exposures": [exposure],
            "report": [{"sigma": 1.0, "mse": 5.9e-4}, {"sigma": 2.0, "mse": 1.23e-3}],
            "eight_bit_mse": 1.28e-6,
        },
    }


def test_zones_show_the_part_of_the_error_that_is_left(results):
    (axes,) = zones_figure(results["restoration"]).axes
    (variant,) = [line for line in axes.lines if line.get_marker() == "^"]
    np.testing.assert_allclose(variant.get_ydata(), [0.5, 0.5, 0.875, 5 / 7], rtol=1e-6)
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "anode side", "centre", "cathode side", "whole image",
    ]  # fmt: skip


def test_each_setting_has_its_panel(results):
    rows = results["restoration"] + [{**r, "noise": 0.002} for r in results["restoration"]]
    titles = [axes.get_title() for axes in zones_figure(rows).axes]
    assert titles == ["incubator, noise 0.01, 8 bits", "incubator, noise 0.002, 8 bits"]


def test_what_was_not_measured_is_hollow_and_has_no_memory(results):
    seconds, memory = growth_figure(results["growth"]).axes
    hollow, filled = [line for line in seconds.lines if line.get_marker() == "v"]
    assert (hollow.get_markerfacecolor(), list(hollow.get_xdata())) == ("none", [256, 512])
    assert list(filled.get_xdata()) == [256]
    assert [list(x.get_xdata()) for x in memory.lines if x.get_marker() == "v"] == [[256], [256]]
    assert (seconds.get_yscale(), memory.get_yscale()) == ("log", "linear")


def test_real_exposures_stand_beside_the_reports_blurs(results):
    figure = clinical_figure(results["clinical"])
    (axes,) = figure.axes
    lines = {line.get_label(): line.get_xdata()[0] for line in axes.lines if len(line.get_xdata())}
    assert lines["report's \u03c3 2"] == 1.23e-3
    assert lines["rounding to 8 bits"] == 1.28e-6
    marks = {line.get_marker(): line.get_xdata()[0] for line in axes.lines if len(line.get_xdata())}
    assert (marks["o"], marks["s"]) == (1e-9, 5e-9)


def test_wins_are_counted_against_the_best_stationary_blur(results):
    table = restoration_table(results["restoration"])
    wins = dict(zip([row[2:4] for row in table.rows], [row[-1] for row in table.rows], strict=True))
    assert wins["shift-variant", "Tikhonov (gradient)"] == "1 of 2"
    assert wins["best stationary, spot \u00d7 1.2", "Tikhonov (gradient)"] == "\u2013"
    variant = next(row for row in results["restoration"] if row["model"] == "shift-variant")
    variant["mse_of_images"] = [0.0, 0.0]  # a smaller error is a win, a larger one is not
    assert restoration_table(results["restoration"]).rows[-1][-1] == "2 of 2"


def test_the_tables_by_hand(results):
    dash = "\u2013"
    none, *_, variant = restoration_table(results["restoration"]).rows
    assert none == (
        *("incubator", "0.01", dash, "not restored", dash, "2.333e-04", "30.00"),
        *("1.00e-04", "2.00e-04", "4.00e-04", dash),
    )
    assert variant[2:6] == ("shift-variant", "Tikhonov (gradient)", "0.1", "1.667e-04")

    results["fields"][0]["errors"]["low_rank"] = {
        "psf_error_mean": 2e-5, "psf_error_max": 3e-4, "image_rmse": 4e-6,
    }  # fmt: skip
    place = (
        *("incubator tray", "2.4 \u00d7 1.7 mm", "1.33", "0.234"),
        *("0.30 px", "1.00 px", "1.70 px"),
    )
    assert blur_table(results["fields"]).rows == [
        (*place, "central PSF", "1.0e-01", "2.5e-01", "1.0e-03"),
        (*place, "low rank, 12", "2.0e-05", "3.0e-04", "4.0e-06"),
    ]


def test_the_report_ends_the_clinical_table(results):
    rows = clinical_table(results["clinical"]).rows
    assert rows[0] == (
        *("chest PA", "1 mm", "1.111", "0.111", "0.23", "0.058", "0.017", "0.026"),
        *("1.0e-09", "5.0e-09"),
    )
    assert rows[1][6:] == ("1.000", "1.000", "5.9e-04", "5.9e-04")
    assert [row[-1] for row in rows] == ["5.0e-09", "5.9e-04", "1.2e-03", "1.3e-06"]


def test_charts_and_tables_are_written(results, tmp_path):
    write_field(results, tmp_path)
    for name in ("zones", "growth", "clinical"):
        with Image.open(tmp_path / "figures" / f"{name}.png") as image:
            assert np.asarray(image.convert("L")).std() > 10
    text = (tmp_path / "tables.md").read_text()
    assert "| low rank | 512 | 0.0105 | 128 |" in text
    assert "| by definition | 512 | 0.262 (extrapolated) | \u2013 |" in text
    assert "2.4 \u00d7 1.7 mm" in text
    assert text.count("## ") == 4
