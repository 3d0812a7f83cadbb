"""Figures 1 and 3: what they say is what the config builds."""

import copy
import re

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from jxr.config import HeadConfig, UNetConfig
from jxr.models import VGG16
from jxr.reporting import structure_figure, unet_figure
from jxr.reporting.unet_figure import unet_levels, unet_parameters
from jxr.studies.features import feature_count
from jxr.training.tasks import build_head, build_unet
from tests.reporting.fake_results import classification_row, fake_results


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def parameters(build):
    """Counts the numbers of a module that is really made."""
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(build(jax.random.key(0)))))


def test_structure_says_what_the_config_says():
    words = texts(structure_figure(fake_results()))
    for word in (
        "resized to 64 \N{MULTIPLICATION SIGN} 64 px",
        "\N{GREEK SMALL LETTER SIGMA} = 2 px (standard)",
        "reflect, point sampling",
        "noise 0, float32",
        "6 to 24 channels",
        "trained on 16 px crops",
        "Wiener",
        "ImageNet weights",
        "2,048 features",  # 2 x 2 x 512
        "trained on original images",
        "trained on blurred images",
        "dense 32 → 8 → 2",
        "dropout 0.25",
        "Normal vs pneumonia",
        "Bacterial vs viral",
    ):
        assert word in words
    head = parameters(build_head(HeadConfig(hidden=(32, 8)), 2048))
    assert f"{head:,} parameters" in words
    assert "14,714,688" in words  # published: VGG-16 without its dense layers


def test_structure_of_another_run():
    results = fake_results()
    config = results["provenance"]["config"]
    config["weights"]["kind"] = "random"
    config["unet"]["crop"] = 0
    results["classification"] = [
        classification_row(task="x$_vs_<b>", test_on="recovered", restorer="own $filter")
    ]
    results["restoration"] = []
    figure = structure_figure(results)
    figure.draw_without_rendering()
    words = texts(figure)
    assert "random weights" in words
    assert "x\\$ vs <b>" in words
    assert "own \\$filter" in words
    assert "trained on blurred images" not in words
    assert not {"U-Net", "Wiener"} & set(words)


def test_structure_without_classifiers():
    words = texts(structure_figure(fake_results() | {"classification": []}))
    assert "U-Net" in words
    assert "VGG-16" not in words


def test_tasks_stay_in_their_box_however_many():
    results = fake_results()
    results["classification"] = [
        row | {"task": f"rest_vs_kind{number}"}
        for number in range(30)
        for row in results["classification"][:7]
    ]
    figure = structure_figure(results)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    places = {text.get_text(): text.get_window_extent() for text in axes.texts}
    (more,) = (words for words in places if re.fullmatch(r"and \d+ more", words))
    shown = sum(words.startswith("rest vs kind") for words in places)
    assert shown + int(more.split()[1]) == 30
    frame = axes.patches[-1].get_window_extent()  # drawn last
    for words in ("Two classes", "rest vs kind0", more):
        assert frame.y0 < places[words].y0 < places[words].y1 < frame.y1


@pytest.mark.parametrize("hidden", [[], [256], [4096, 4096]])
def test_words_lie_within_the_figure_however_long_the_names(hidden):
    results = fake_results()
    results["provenance"]["config"]["head"]["hidden"] = hidden
    for row in results["classification"]:
        row["task"] = "klebsiella_pneumoniae_vs_streptococcus_pneumoniae"
    figure = structure_figure(results)
    figure.draw_without_rendering()
    assert any(text.endswith("\N{HORIZONTAL ELLIPSIS}") for text in texts(figure))
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= figure.bbox.x1, text
        assert 0 <= box.y0 < box.y1 <= figure.bbox.y1, text


@pytest.mark.parametrize("size", [32, 224])
def test_features_are_those_of_the_network(size):
    graphdef, state = nnx.split(nnx.eval_shape(lambda: VGG16(rngs=nnx.Rngs(0))))
    images = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    shape = jax.eval_shape(lambda state, x: nnx.merge(graphdef, state)(x), state, images).shape
    assert feature_count(size) == shape[1] * shape[2] * shape[3]


@pytest.mark.parametrize(("width", "depth", "size"), [(6, 2, 64), (4, 3, 48)])
def test_levels_are_those_of_the_network(width, depth, size):
    def sizes():
        model = build_unet(UNetConfig(width=width, depth=depth))(jax.random.key(0))
        x, seen = jnp.zeros((1, size, size, 1)), []
        for level in range(depth + 1):
            x = getattr(model, f"down{level}")(x)
            seen.append(x)
            x = nnx.max_pool(x, (2, 2), strides=(2, 2))
        return seen

    seen = [(array.shape[3], array.shape[1]) for array in nnx.eval_shape(sizes)]
    assert unet_levels({"width": width, "depth": depth}, size) == seen


def test_parameters_of_the_paper():
    paper = {"width": 64, "depth": 4, "channels": 1, "residual": False}
    assert unet_parameters(paper) == 31_030_593  # counted by hand in `jxr.models.unet`


def test_unet_says_what_the_config_says():
    config = fake_results()["provenance"]["config"]
    words = texts(unet_figure(config))
    count = parameters(build_unet(UNetConfig(width=6, depth=2, residual=True)))
    for word in ("6", "12", "24", "24 → 12", "12 → 6", f"{count:,} parameters"):
        assert words.count(word) == 1
    for size in (64, 32):
        assert words.count(f"{size} \N{MULTIPLICATION SIGN} {size}") == 2
    assert words.count("16 \N{MULTIPLICATION SIGN} 16") == 1
    assert "residual: the input is added to the output" in words
    assert "trained on 16 \N{MULTIPLICATION SIGN} 16 crops" in words
    assert words.count("1 channel") == 2


def test_unet_of_the_report():
    config = copy.deepcopy(fake_results()["provenance"]["config"])
    config["unet"] = {"width": 64, "depth": 4, "channels": 3, "residual": False, "crop": 0}
    config["data"]["size"] = 224
    words = texts(unet_figure(config))
    assert "1,024" in words
    assert "14 \N{MULTIPLICATION SIGN} 14" in words
    assert "trained on whole images" in words
    assert words.count("3 channels") == 2
    assert not any("residual" in word for word in words)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_words_of_the_unet_keep_apart(depth):
    config = copy.deepcopy(fake_results()["provenance"]["config"])
    config["unet"]["depth"] = depth
    config["data"]["size"] = 224
    figure = unet_figure(config)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        for other in boxes[:i]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            along = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert min(across, along) < 2, (box, other)  # pixels; letters have some room inside
