"""The benchmark's rows as tables."""

from collections.abc import Sequence

from jxr.reporting.labels import Row, name
from jxr.reporting.tables import Table, sections, tabulated, without

# What is timed, where the label of a results row would not do.
NAMES = {
    "blur": "Gaussian blur",
    "input": "images from files",
    "restorer_train": "restorer, training",
    "shift_variant_blur": "shift-variant blur",
    "sweep8_heads": "eight heads, training",
    "sweep8_restorers": "eight U-Nets, training",
    "unet_train": "U-Net, training",
    "vgg_features": "VGG-16 features",
    "wiener": "Wiener filter",
}


def bench_table(rows: Sequence[Row]) -> Table:
    """Rates of ours and of the peers; a ratio above 1 means that ours is faster.

    Args:
        rows: of experiments/results/bench.json.

    Returns:
        One row for each, in the same order.
    """
    records = [
        {
            "What": NAMES.get(row["what"]) or name(row["what"]),
            "Peer": row["peer_name"],
            "Ours": rate(row["ours"]),
            "Peer's": rate(row["peer"]),
            "Unit": row["unit"],
            "Ratio": f"{row['ratio']:.2f}",
            "Batch": str(row["batch"]),
            "Device": row["device"],
            "Type": row["dtype"],
        }
        for row in rows
    ]
    return tabulated(records, words=("What", "Peer", "Unit", "Device", "Type"))


def bench_page(rows: Sequence[Row]) -> str:
    """All rows in Markdown, a table for each device.

    Args:
        rows: of experiments/results/bench.json.
    """
    devices = dict.fromkeys(row["device"] for row in rows)
    return sections(
        {
            device: without(
                bench_table([row for row in rows if row["device"] == device]), {"Device"}
            )
            for device in devices
        }
    )


def rate(value: float) -> str:
    """A rate with three digits, as `12,300`, `123` or `12.0`."""
    value = float(f"{value:.3g}")
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"
