"""From results.json's content to a folder with the page and its charts: one call."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
from jaxtyping import Float

from jxr.optics import Convention, Sampling, gaussian_psf, kernel_radius
from jxr.reporting.drawing import save_figures
from jxr.reporting.examples import Examples, examples_figure
from jxr.reporting.figures import write_figures
from jxr.reporting.methods_figure import methods_figure
from jxr.reporting.page import write_page
from jxr.reporting.sweep_curves import of_originals, sweep_table
from jxr.reporting.sweep_figure import sigma_sweep_figure
from jxr.reporting.tables import (
    classification_table,
    paired_table,
    restoration_table,
    sections,
    to_markdown,
)


def write_report(
    results: Mapping[str, Any], folder: Path, examples: Examples | None = None
) -> None:
    """Writes `index.html`, which needs nothing else; the charts as PNG and SVG; `tables.md`.

    Args:
        results: the content of results.json. Its `sweep`, if any, is also drawn in
            `figures/sweep.png`.
        folder: is made if need be.
        examples: images to show before and after; also written to `figures/examples.png`. Without
            any, one that was there before is removed, for it would be another run's.
    """
    blur = results["provenance"]["config"]["blur"]
    kernels = report_kernels(blur["sigma"], blur["sampling"])
    figures = write_figures(results, folder / "figures", kernels, blur["sigma"])
    sweep = results.get("sweep")
    drawn = {
        "examples": examples_figure(examples) if examples else None,
        "sweep": sigma_sweep_figure(of_originals(sweep)) if sweep else None,
    }
    for key, figure in drawn.items():
        panel = folder / "figures" / f"{key}.png"
        panel.unlink(missing_ok=True)
        if figure is not None:
            figure.savefig(panel, dpi=150)
    write_page(results, figures, folder / "index.html", examples)
    write_tables(results, folder / "tables.md")


def write_restoration(results: Mapping[str, Any], folder: Path) -> None:
    """Writes chart and table of a comparison of restoration methods: `figures`, `tables.md`.

    Args:
        results: see `jxr.reporting.methods_figure`.
        folder: is made if need be.
    """
    save_figures({"methods": methods_figure(results["restoration"])}, folder)
    (folder / "tables.md").write_text(to_markdown(restoration_table(results["restoration"])))


def write_tables(results: Mapping[str, Any], path: Path) -> None:
    """Writes every table of the results as Markdown."""
    tables = {
        "Classification": classification_table(results["classification"]),
        "Restoration": restoration_table(results["restoration"]),
        "McNemar's tests": paired_table(results["paired"]),
    }
    if sweep := results.get("sweep"):
        tables["Scores over sigma"] = sweep_table(sweep)
    path.write_text(sections(tables))


def report_kernels(sigma: float, sampling: Sampling) -> dict[str, Float[np.ndarray, "_size _size"]]:
    """The Gaussian kernels of one sigma in every convention, as the runs use them."""
    kernels = {}
    for convention in get_args(Convention):
        radius = kernel_radius(sigma, convention)
        psf = gaussian_psf(sigma, radius=radius, convention=convention, sampling=sampling)
        kernels[convention] = np.asarray(psf)
    return kernels
