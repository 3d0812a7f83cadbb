"""Figure 1: the way of the images through blur, restoration and classification, as built."""

from collections.abc import Mapping
from typing import Any

import jax
from flax import nnx
from matplotlib.figure import Figure

from jxr.models import VGG16, Head, split
from jxr.models.vgg16 import LAYERS
from jxr.reporting.drawing import COLOURS, FAINT, arrow, box, new_canvas
from jxr.reporting.labels import SIGMA, TIMES, name
from jxr.studies.features import feature_count

LANE, BOX = 1.2, 1.0  # inches: one lane for each kind of images, and the boxes in it
LEFT, LEFT_WIDTH = 0.1, 1.75
MIDDLE, MIDDLE_WIDTH = 2.65, 1.75
NETWORK, NETWORK_WIDTH = 5.4, 1.5
RIGHT, RIGHT_WIDTH = 8.0, 1.95
WIDTH = RIGHT + RIGHT_WIDTH + 0.1


def structure_figure(results: Mapping[str, Any]) -> Figure:
    """The general structure, every number from the run's config.

    Args:
        results: the content of results.json; its config says what was built, its rows which
            tasks, classifiers and restorers there are.

    Returns:
        A diagram from left to right.
    """
    config = results["provenance"]["config"]
    rows = results["classification"]
    methods = [row["restorer"] for row in rows] + [row["method"] for row in results["restoration"]]
    restorers = [key for key in dict.fromkeys(methods) if key not in (None, "none")]
    heads = [("Classifier", f"trained on {kind} images") for kind in unique(rows, "train_on")]
    lanes = max(2 + len(restorers), len(heads) + 1)
    height = lanes * LANE
    figure, axes = new_canvas(WIDTH, height)

    def middle(lane: int) -> float:
        return height - (lane + 0.5) * LANE

    def put(x: float, width: float, lane: int, lines: list[str], colour: str) -> None:
        box(axes, (x, middle(lane) - BOX / 2), (width, BOX), lines, colour)

    put(LEFT, LEFT_WIDTH, 0, image_lines(config["data"]), FAINT)
    put(LEFT, LEFT_WIDTH, 1, blur_lines(config["blur"]), COLOURS[1])
    centre = LEFT + LEFT_WIDTH / 2
    arrow(axes, (centre, middle(0) - BOX / 2), (centre, middle(1) + BOX / 2))
    for lane, kind in enumerate(("original", "blurred")):
        y = middle(lane)
        arrow(axes, (LEFT + LEFT_WIDTH, y), (NETWORK, y))
        axes.text(MIDDLE + MIDDLE_WIDTH / 2, y + 0.05, kind, ha="center", fontsize=8.5)
    branch = (LEFT + LEFT_WIDTH + MIDDLE) / 2
    if restorers:
        last = middle(1 + len(restorers))
        axes.plot([branch, branch], [middle(1), last], color=FAINT, linewidth=1.2)
    for lane, key in enumerate(restorers, start=2):
        y = middle(lane)
        put(MIDDLE, MIDDLE_WIDTH, lane, restorer_lines(key, config), COLOURS[2])
        arrow(axes, (branch, y), (MIDDLE, y))
        arrow(axes, (MIDDLE + MIDDLE_WIDTH, y), (NETWORK, y), "recovered")

    if rows:
        box(axes, (NETWORK, 0.1), (NETWORK_WIDTH, height - 0.2), backbone_lines(config), COLOURS[0])
        features = feature_count(config["data"]["size"])
        for lane, lines in enumerate(heads):
            y = middle(lane)
            text = f"{features:,} features" if lane == 0 else ""
            arrow(axes, (NETWORK + NETWORK_WIDTH, y), (RIGHT, y), text)
            put(RIGHT, RIGHT_WIDTH, lane, [*lines, *head_lines(config, features)], COLOURS[4])
        centre = RIGHT + RIGHT_WIDTH / 2
        tasks = [name(task) for task in unique(rows, "task")]
        top = middle(len(heads)) + BOX / 2
        arrow(axes, (centre, middle(len(heads) - 1) - BOX / 2), (centre, top))
        room = int((top - 0.4) / 0.17) - 1  # lines of tasks that the box can hold
        if len(tasks) > room:
            tasks = [*tasks[: room - 1], f"and {len(tasks) - room + 1} more"]
        tall = min(0.3 + 0.17 * (len(tasks) + 1), top - 0.1)
        box(axes, (RIGHT, top - tall), (RIGHT_WIDTH, tall), ["Two classes", *tasks], FAINT)
    return figure


def unique(rows: list[Mapping[str, Any]], key: str) -> list[str]:
    """The values of a key among the rows, each once, in order of appearance."""
    return list(dict.fromkeys(row[key] for row in rows))


def image_lines(data: Mapping[str, Any]) -> list[str]:
    """What happens to an image before anything else."""
    size = data["size"]
    return [
        "Chest X-rays",
        f"resized to {size} {TIMES} {size} px",
        f"({data['resize']}), grey, 0 to 1",
    ]


def blur_lines(blur: Mapping[str, Any]) -> list[str]:
    """The blur, complete."""
    return [
        "Gaussian blur",
        f"{SIGMA} = {blur['sigma']:g} px ({blur['convention']})",
        f"{blur['boundary']}, {blur['sampling']} sampling",
        f"noise {blur['noise']:g}, {blur['input_precision']}",
    ]


def restorer_lines(key: str, config: Mapping[str, Any]) -> list[str]:
    """A restorer's name and what marks it, where it is one that is known here."""
    if key == "unet":
        unet = config["unet"]
        crop = f"{unet['crop']} px crops" if unet["crop"] else "whole images"
        last = unet["width"] * 2 ** unet["depth"]
        return [name(key), f"{unet['width']} to {last:,} channels", f"trained on {crop}"]
    if key == "wiener":
        return [name(key), "knows the kernel;", "one ratio from validation"]
    if key == "wiener_net":
        return [name(key), "knows kernel and noise;", "shipped weights"]
    return [name(key)]


def backbone_lines(config: Mapping[str, Any]) -> list[str]:
    """The frozen convolutions and where their weights come from."""
    kinds = {"imagenet": "ImageNet weights", "random": "random weights"}
    kind = config["weights"]["kind"]
    parameters = count(lambda: VGG16(rngs=nnx.Rngs(0)))
    return ["VGG-16", f"{len(LAYERS)} convolutions,", "frozen,", kinds[kind], f"{parameters:,}",
            "parameters"]  # fmt: skip


def head_lines(config: Mapping[str, Any], features: int) -> list[str]:
    """The trained layers on top."""
    hidden, dropout = config["head"]["hidden"], config["head"]["dropout"]
    widths = " → ".join([f"{width:,}" for width in hidden] + ["2"])
    parameters = count(
        lambda: Head(features, hidden=tuple(hidden), dropout=dropout, rngs=nnx.Rngs(0))
    )
    return [f"dense {widths}", f"dropout {dropout:g}", f"{parameters:,} parameters"]


def count(build: Any) -> int:
    """How many numbers a module trains, without making them."""
    return sum(leaf.size for leaf in jax.tree.leaves(split(nnx.eval_shape(build))[1]))
