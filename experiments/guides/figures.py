"""Makes the guides' figures, of phantoms only: some seconds each.

python -m experiments.guides.figures [psf] [model] [sweeps]
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
GUIDES = ("psf", "model", "data", "sweeps")


def run_guide(name: str) -> dict[str, Any]:
    """Runs the python blocks of a guide in order, and returns all their names."""
    text = (HERE / f"{name}.md").read_text()
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", text, re.S | re.M):
        exec(compile(block, f"{name}.md", "exec"), names)
    return names


def psf_figure(names: dict[str, Any]) -> Any:
    """Returns a phantom blurred by a focal spot, and restored by the guide's methods."""
    import jax
    import jax.numpy as jnp

    import jxr
    from jxr.data.phantoms import phantom

    sharp = phantom(jax.random.key(3), 0, size=128)
    spot, operator = names["spot"], names["operator"]
    noisy = jxr.add_gaussian_noise(jax.random.key(1), jxr.blur(sharp, spot), 0.003)
    restored = {
        "Blurred, noise 0.003": noisy,
        "Wiener": jxr.wiener(noisy, spot, 5e-3),
        "Richardson-Lucy": jxr.richardson_lucy(noisy, operator, iterations=10),
        "Total variation": jxr.total_variation(noisy, operator, 5e-4, iterations=100),
    }
    shown = {"Sharp": sharp}
    for title, image in restored.items():
        error = float(jnp.mean((image - sharp) ** 2))
        shown[f"{title}\nMSE {1e4 * error:.2f}e-4"] = image
    return pictures({"PSF": spot[..., None] / spot.max(), **shown})


def model_figure(names: dict[str, Any]) -> Any:
    """Returns the loss of the guide's training, and what it made of a phantom."""
    import json

    from jxr.reporting.drawing import COLOURS, new_figure, tidy

    lines = (names["folder"] / "run" / "metrics.jsonl").read_text().splitlines()
    metrics = [line for line in map(json.loads, lines) if "loss" in line]
    figure = new_figure(8.4, 2.5)
    chart, *others = figure.subplots(1, 4, width_ratios=(1.7, 1, 1, 1))
    steps, losses = ([line[key] for line in metrics] for key in ("step", "loss"))
    chart.plot(steps, losses, "o-", color=COLOURS[0])
    chart.axvline(30, color="#555555", linestyle=":", linewidth=1)
    chart.text(31, max(losses), "resumed", fontsize=8, va="top", color="#555555")
    chart.set(xlabel="Step", ylabel="Training loss", ylim=(0, None))
    tidy(chart)
    images = {
        "Blurred": names["blurred"],
        "Restored": names["restored"],
        "Sharp": names["held_out"],
    }
    for axes, (title, stack) in zip(others, images.items(), strict=True):
        draw(axes, title, stack[0])
    return figure


def sweeps_figure(names: dict[str, Any]) -> Any:
    """Returns the errors over sigma of the guide's first sweep, and the members' of its second."""
    from jxr.reporting.drawing import COLOURS, DASHES, SHAPES, new_figure, tidy

    figure = new_figure(8.4, 3.0)
    left, right = figure.subplots(1, 2, sharey=True)
    sigmas = names["sigmas"]
    curves = zip(("Not restored", "Wiener", "Network"), names["table"].T, strict=True)
    for number, (label, errors) in enumerate(curves):
        style = {"color": COLOURS[number], "marker": SHAPES[number], "ls": DASHES[number]}
        left.plot(sigmas, errors, label=label, **style)
    members = zip(names["train_sigmas"], names["grid"], strict=True)
    for number, (sigma, errors) in enumerate(members):
        style = {"color": COLOURS[number], "marker": SHAPES[number], "ls": DASHES[number]}
        right.plot(sigmas, errors, label=f"trained at {sigma:g}", **style)
    left.set(ylabel="Mean squared error", title="One function over sigma")
    right.set(title="Four models, each over sigma")
    for axes in (left, right):
        axes.set(xlabel="Sigma of the tested images (pixels)", yscale="log")
        axes.legend(frameon=False, fontsize=8)
        tidy(axes)
    return figure


def pictures(images: dict[str, Any]) -> Any:
    """Returns grey images side by side, each under its title."""
    from jxr.reporting.drawing import new_figure

    figure = new_figure(1.7 * len(images), 2.2)
    for axes, (title, image) in zip(figure.subplots(1, len(images)), images.items(), strict=True):
        draw(axes, title, image)
    return figure


def draw(axes: Any, title: str, image: Any) -> None:
    """Draws one grey image in [0, 1]."""
    axes.imshow(image[..., 0], cmap="gray", vmin=0, vmax=1)
    axes.set_title(title, fontsize=8)
    axes.set_axis_off()


FIGURES = {"psf": psf_figure, "model": model_figure, "sweeps": sweeps_figure}


def main(folder: Path, names: Sequence[str]) -> None:
    """Writes these figures."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        FIGURES[name](run_guide(name)).savefig(folder / f"{name}.png", dpi=100)


if __name__ == "__main__":
    main(HERE / "figures", sys.argv[1:] or list(FIGURES))
