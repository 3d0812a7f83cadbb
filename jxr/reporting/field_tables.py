"""Tables of the study of blur that varies over the field."""

from collections.abc import Mapping, Sequence
from typing import Any

from jxr.reporting.labels import DASH, SIGMA, TIMES, Row, name
from jxr.reporting.tables import Table, number, tabulated

OPERATOR_NAMES = {
    "stationary": "stationary (FFT)",
    "low_rank": "low rank",
    "tiled": "tiled",
    "dense": "by definition",
}


def field_tables(results: Mapping[str, Any]) -> dict[str, Table]:
    """Returns all tables by their titles.

    Args:
        results: of `jxr.studies.field.study`.
    """
    growth, clinical = results["growth"], results["clinical"]
    kind = (
        f"PSFs of {growth['psf_pixels']} pixels, rank {growth['rank']}, tiles of {growth['tile']}"
    )
    return {
        "Blur over the field": blur_table(results["fields"]),
        "Restoration": restoration_table(results["restoration"]),
        f"One blur of one image ({kind})": growth_table(growth["rows"]),
        f"Real exposures on {clinical['n']} small images": clinical_table(clinical),
    }


def blur_table(fields: Sequence[Row]) -> Table:
    """Returns the blur of each exposure of the restoration, and how far stand-ins are from it."""
    records = [
        {
            "Exposure": field["title"],
            "Spot": millimetres(field["geometry"]["focal_spot_mm"]),
            "M": f"{field['geometry']['magnification']:.2f}",
            "Pitch (mm)": f"{field['geometry']['pixel_pitch_mm']:.3f}",
            f"{SIGMA} along: anode edge": f"{field['sigma_px']['anode_edge'][0]:.2f} px",
            "centre": f"{field['sigma_px']['centre'][0]:.2f} px",
            "cathode edge": f"{field['sigma_px']['cathode_edge'][0]:.2f} px",
            "Model": f"low rank, {field['rank']}" if model == "low_rank" else "central PSF",
            "PSF error, mean": f"{errors['psf_error_mean']:.1e}",
            "largest": f"{errors['psf_error_max']:.1e}",
            "RMSE on images": f"{errors['image_rmse']:.1e}",
        }
        for field in fields
        for model, errors in field["errors"].items()
    ]
    return tabulated(records, words=("Exposure", "Spot", "Model"))


def restoration_table(rows: Sequence[Row]) -> Table:
    """Returns the errors of each restoration, overall and by zone.

    `Better than stationary` counts the images on which a shift-variant method has a smaller error
    than the same method with the best stationary blur there is of it.
    """
    rivals: dict[tuple, Row] = {}
    for row in rows:  # `best stationary` comes after `stationary`
        if row["model"] in ("stationary", "best stationary"):
            rivals[row["exposure"], row["noise"], row["method"]] = row

    def wins(row: Row) -> str:
        rival = rivals.get((row["exposure"], row["noise"], row["method"]))
        if row["model"] != "shift-variant" or rival is None:
            return DASH
        pairs = zip(row["mse_of_images"], rival["mse_of_images"], strict=True)
        return f"{sum(a < b for a, b in pairs)} of {row['n']}"

    records = [
        {
            "Exposure": row["exposure"],
            "Noise": f"{row['noise']:g}",
            "Model": model_name(row),
            "Method": name(row["method"]),
            "Strength": number(row["strength"], ".3g"),
            "MSE": f"{row['mse']:.3e}",
            "PSNR (dB)": f"{row['psnr']:.2f}",
            "Anode side": f"{row['mse_by_zone']['anode_side']:.2e}",
            "Centre": f"{row['mse_by_zone']['centre']:.2e}",
            "Cathode side": f"{row['mse_by_zone']['cathode_side']:.2e}",
            "Better than stationary": wins(row),
        }
        for row in rows
    ]
    return tabulated(records, words=("Exposure", "Model", "Method"))


def growth_table(rows: Sequence[Row]) -> Table:
    """Returns time and memory of each operator at each size; the extrapolated ones are marked."""
    records = [
        {
            "Operator": OPERATOR_NAMES[row["operator"]],
            "Size": str(row["size"]),
            "Seconds": f"{row['seconds']:.3g}"
            + (" (extrapolated)" if row.get("extrapolated") else ""),
            "Peak (MB)": number(row.get("peak_mb"), ".0f"),
            "Temporary (MB)": number(row.get("temporary_mb"), ".0f"),
            "Image (MB)": number(row.get("image_mb"), ".1f"),
            "Largest PSF error": number(row.get("psf_error_max"), ".1e"),
        }
        for row in rows
    ]
    return tabulated(records, words=("Operator",))


def clinical_table(clinical: Mapping[str, Any]) -> Table:
    """Returns real exposures, then the report's blurs; sigma along the anode-cathode axis."""
    rows: list[tuple[str, ...]] = [
        (
            row["title"],
            millimetres(row["spot_mm"]),
            f"{row['magnification']:.3f}",
            f"{row['penumbra_mm']:.3f}",
            f"{row['sigma_px_detector'][0]:.2f}",
            f"{row['penumbra_px_small']:.3f}",
            f"{row['sigma_px_small'][0]:.3f}",
            f"{row['sigma_px_small_cathode_edge'][0]:.3f}",
            f"{row['mse_centre']:.1e}",
            f"{row['mse_cathode_edge']:.1e}",
        )
        for row in clinical["exposures"]
    ]
    rows += [
        (
            f"the report's blur (standard {SIGMA} {row['sigma']:g})", *[DASH] * 5,
            f"{row['sigma']:.3f}", f"{row['sigma']:.3f}", *[f"{row['mse']:.1e}"] * 2,
        )
        for row in clinical["report"]
    ]  # fmt: skip
    rows.append(("rounding to 8 bits", *[DASH] * 7, *[f"{clinical['eight_bit_mse']:.1e}"] * 2))
    return Table(
        columns=(
            "Exposure", "Spot", "M", "Penumbra (mm)", f"{SIGMA} (detector px)",
            "Penumbra (small px)", f"{SIGMA} (small px)", f"{SIGMA} at the cathode's edge",
            "MSE", "MSE, cathode's edge",
        ),
        rows=rows,
        words=("Exposure", "Spot"),
    )  # fmt: skip


def millimetres(spot: Sequence[float]) -> str:
    """Returns the size of a spot, as `1.2 mm` or, along and across, `2.4 x 1.7 mm`."""
    along, across = spot
    return f"{along:g} mm" if along == across else f"{along:g} {TIMES} {across:g} mm"


def model_name(row: Row) -> str:
    """Returns the model of the blur, with the scale of the spot where it was chosen."""
    if row["model"] == "none":
        return DASH
    scale = f", spot {TIMES} {row['spot_scale']:g}" if row["model"] == "best stationary" else ""
    return row["model"] + scale


def method_name(model: str, method: str) -> str:
    """Returns a method with its model of the blur, for a legend."""
    return f"{name(method)}, {model}"
