"""Charts and tables of the study of the restorer for all blurs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from jxr.reporting.drawing import COLOURS, DASHES, INK, SHAPES, new_figure, save_figures, tidy
from jxr.reporting.labels import SIGMA, TIMES, Row, blur, name
from jxr.reporting.tables import (
    Table,
    number,
    restoration_table,
    tabulated,
    to_hundredths,
    to_markdown,
)


def grid_figure(rows: Sequence[Row]) -> Figure:
    """How far below the linear limit the restorer is, over sigma, a line for each kind of input.

    Args:
        rows: `grid` of results.json.

    Returns:
        One panel; 1 is the linear limit. Points without blur are left out: 8 bits of images of 8
        bits are the image itself, which no ratio does justice.
    """
    figure = new_figure(6.4, 3.6)
    axes = figure.subplots()
    kinds = list(dict.fromkeys(input_of(row) for row in rows))
    for i, kind in enumerate(kinds):
        points = [
            (row["sigma"], row["limit_mse"] / row["mse_wiener_net"])
            for row in rows
            if input_of(row) == kind and row["sigma"] > 0
        ]
        axes.plot(
            *zip(*points, strict=True), label=kind, color=COLOURS[i], marker=SHAPES[i], ls=DASHES[i]
        )
    axes.axhline(1, color=INK, linewidth=0.8)
    axes.set(xlabel=f"{SIGMA} of the blur (pixels)", ylabel="linear limit / the network's MSE")
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    tidy(axes)
    return figure


def told_figure(rows: Sequence[Row]) -> Figure:
    """The errors where the sigma that is told is off, a panel for each setting.

    Args:
        rows: `told` of results.json.

    Returns:
        Panels of mean squared errors, logarithmic; the image as it was stands as a line.
    """
    settings = list(dict.fromkeys((row["sigma"], input_of(row)) for row in rows))
    figure = new_figure(6.4, 2.3 * len(settings) + 0.7)
    panels = figure.subplots(len(settings), 1, sharex=True, squeeze=False)[:, 0]
    lines = {
        "mse_wiener": "Wiener",
        "mse_wiener_net": "network",
        "mse_wiener_net_warned": "network, told that it may be off",
    }
    for axes, setting in zip(panels, settings, strict=True):
        here = [row for row in rows if (row["sigma"], input_of(row)) == setting]
        axes.axhline(here[0]["mse_blurred"], color=INK, linewidth=0.8)
        for i, (key, label) in enumerate(lines.items()):
            axes.plot(
                [row["told"] for row in here], [row[key] for row in here], label=label,
                color=COLOURS[i], marker=SHAPES[i], ls=DASHES[i],
            )  # fmt: skip
        axes.set(yscale="log", ylabel="MSE", title=f"{SIGMA} {setting[0]:g}, {setting[1]}")
        tidy(axes)
    panels[-1].set_xlabel(f"told {SIGMA} / true {SIGMA} (the line: not restored)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return figure


def spectrum_figure(rows: Sequence[Row]) -> Figure:
    """What is wrong at each frequency, and how far restored images cohere with the true ones.

    Args:
        rows: `spectra` of results.json.

    Returns:
        A line of two panels for each setting: the residual's share of the signal, and the
        coherence; a grey line marks where noise drowns the blurred signal.
    """
    figure = new_figure(8.4, 2.4 * len(rows) + 0.7)
    panels = figure.subplots(len(rows), 2, sharex=True, squeeze=False)
    for (left, right), row in zip(panels, rows, strict=True):
        for i, (method, found) in enumerate(row["methods"].items()):
            style: dict[str, Any] = {"color": COLOURS[i], "ls": DASHES[i], "label": name(method)}
            share = [r / s for r, s in zip(found["residual"], row["signal"], strict=True)]
            left.plot(row["frequency"], share, **style)
            right.plot(row["frequency"], found["coherence"], **style)
        found = row["methods"]["wiener_net"]
        power = [p / s for p, s in zip(found["power"], row["signal"], strict=True)]
        right.plot(row["frequency"], power, color=INK, ls=":", label="network, power / signal")
        left.set(yscale="log", ylabel="residual / signal")
        right.set(ylabel="coherence", ylim=(0, 1.05))
        for axes in (left, right):
            axes.set_title(f"{SIGMA} {row['sigma']:g}, {input_of(row)}")
            if row["band"] is not None:
                axes.axvline(row["band"], color="#999999", linewidth=0.8)
            tidy(axes)
    for axes in panels[-1]:
        axes.set_xlabel("cycles per pixel")
    handles, labels = panels[0, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    return figure


def input_of(row: Row) -> str:
    """Noise and precision of a row in words."""
    precision = "8 bits" if row["input_precision"] == "8bit" else "float32"
    return f"{precision}, noise {row['noise']:g}" if row["noise"] else precision


def limit_table(rows: Sequence[Row]) -> Table:
    """The restorer beside the linear limit, a row for each setting.

    Args:
        rows: `restoration` of results.json of the study.
    """
    records = [
        {
            "Blur": blur(row),
            "Not restored": number(none["mse"], ".3e"),
            "Linear limit": number(row["limit_mse"], ".3e"),
            "Network": number(row["mse"], ".3e"),
            f"Limit {TIMES}": number(row["limit_mse"] / row["mse"], ".2f"),
            "SSIM": number(row["ssim"], ".4f"),
        }
        for none, row in zip(rows[::3], rows[2::3], strict=True)
    ]
    return tabulated(records, words=("Blur",))


def regions_table(rows: Sequence[Row]) -> Table:
    """The restorer beside the linear limit in parts of the images.

    Args:
        rows: `regions` of results.json.
    """
    records = [
        {
            "Blur": blur(row),
            "Part": row["region"],
            "Linear limit": number(row["limit_mse"], ".3e"),
            "Network": number(row["mse_wiener_net"], ".3e"),
            f"Limit {TIMES} [95 %]": to_hundredths(
                row["limit_mse"] / row["mse_wiener_net"], row["ratio_ci95"]
            ),
            "Mirrored, network": number(row["mse_mirrored"], ".3e"),
        }
        for row in rows
    ]
    return tabulated(records, words=("Blur", "Part"))


def large_table(rows: Sequence[Row]) -> Table:
    """The restorer on large images: the columns of `large` of results.json that matter."""
    records = [
        {
            "Input": input_of(row),
            "Method": name(row["method"]),
            "Spectrum of": row["spectrum"],
            "MSE": number(row["mse"], ".3e"),
            "PSNR (dB)": number(row["psnr"], ".2f"),
            "SSIM": number(row["ssim"], ".4f"),
            "Images": str(row["n"]),
        }
        for row in rows
    ]
    return tabulated(records, words=("Input", "Method", "Spectrum of"))


def uncertainty_table(rows: Sequence[Row]) -> Table:
    """Coverage and width of the error bounds, a row for each setting.

    Args:
        rows: `uncertainty` of results.json.
    """
    records = [
        {
            "Blur": blur(row),
            "Wanted": number(row["level"], ".2f"),
            "Covered": number(row["coverage"], ".3f"),
            "Images, 5 to 95 %": "{:.3f} to {:.3f}".format(*row["coverage_of_images"][::2]),
            "Mean bound": number(row["mean_bound"], ".4f"),
            "Narrow to wide": f"{row['narrowest_bound']:.4f} to {row['widest_bound']:.4f}",
        }
        for row in rows
    ]
    return tabulated(records, words=("Blur",))


def write_restorer(results: Mapping[str, Any], folder: Path) -> None:
    """Writes the charts as PNG and `tables.md`.

    Args:
        results: of `jxr.studies.restoration.study`.
        folder: is made if need be.
    """
    figures = {"grid": grid_figure(results["grid"])}
    if results["told"]:
        figures["spectrum"] = spectrum_figure(results["spectra"])
        figures["told"] = told_figure(results["told"])
    save_figures(figures, folder)
    tables = [limit_table(results["restoration"]), restoration_table(results["restoration"])]
    tables += [regions_table(results["regions"]), uncertainty_table(results["uncertainty"])]
    if results["large"]:
        tables.append(large_table(results["large"]))
    (folder / "tables.md").write_text("\n".join(map(to_markdown, tables)))
