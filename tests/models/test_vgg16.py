"""VGG-16 against NumPy with random weights, and against PyTorch with the published ones."""

from pathlib import Path

import h5py
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from jxr.models import split, vgg16
from jxr.models.tuned_vgg16 import TunedVGG16
from jxr.models.vgg16_weights import FILE_NAME, load_vgg16_weights

# Keras' layer names and where its model pools, written out once more by hand.
BLOCKS = {
    "block1": ["conv1", "conv2"],
    "block2": ["conv1", "conv2"],
    "block3": ["conv1", "conv2", "conv3"],
    "block4": ["conv1", "conv2", "conv3"],
    "block5": ["conv1", "conv2", "conv3"],
}
NAMES = [f"{block}_{conv}" for block, convs in BLOCKS.items() for conv in convs]


def numpy_vgg16(params: dict, x: np.ndarray) -> np.ndarray:
    """Convolutions by sliding windows and a matrix product, pooling by a maximum over blocks."""
    for block, convs in BLOCKS.items():
        for conv in convs:
            kernel, bias = (np.asarray(params[f"{block}_{conv}"][k]) for k in ("kernel", "bias"))
            padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
            patches = np.moveaxis(windows, 3, 5).reshape(*x.shape[:3], -1)
            x = np.maximum(patches @ kernel.reshape(-1, kernel.shape[-1]) + bias, 0)
        b, h, w, c = x.shape
        x = x.reshape(b, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))
    return x


def numpy_weights(rng: np.random.Generator) -> dict:
    """He-normal kernels, and biases that are not zero, for that would hide mistakes."""
    return {
        name: {
            "kernel": rng.normal(0, np.sqrt(2 / (9 * n_in)), (3, 3, n_in, n_out)).astype("f4"),
            "bias": rng.normal(0, 20, n_out).astype("f4"),
        }
        for name, n_in, n_out in vgg16.LAYERS
    }


def test_forward_and_flatten_order_against_numpy() -> None:
    rng = np.random.default_rng(0)
    params = numpy_weights(rng)
    images = rng.random((2, 64, 96, 1), np.float32)
    means = np.array([103.939, 116.779, 123.68], np.float32)
    expected = numpy_vgg16(params, np.repeat(images, 3, axis=-1) * 255 - means)
    extract = jax.jit(vgg16.extract, static_argnums=(0, 3))
    got = extract(vgg16.graphdef(), params, jnp.asarray(images), "caffe")
    assert got.shape == (2, 2 * 3 * 512)
    error = np.linalg.norm(got - expected.reshape(2, -1)) / np.linalg.norm(expected)
    assert error < 1e-5
    # Row, column, channel: feature (row 1, column 2, channel 7) of the second image.
    index = (1 * 3 + 2) * 512 + 7
    np.testing.assert_allclose(got[1, index], expected[1, 1, 2, 7], rtol=1e-3, atol=1e-3)


def test_graphdef_equals_that_of_a_made_model() -> None:
    keyed = nnx.eval_shape(lambda: vgg16.VGG16(rngs=nnx.Rngs(jax.random.key(7))))
    assert vgg16.graphdef() == split(keyed)[0]


def test_layer_names_are_those_of_keras() -> None:
    assert [name for name, _, _ in vgg16.LAYERS] == NAMES


def test_preprocess_of_colours() -> None:
    red = jnp.asarray([1.0, 0.0, 0.0]).reshape(1, 1, 1, 3)
    expected = [0 - 103.939, 0 - 116.779, 255 - 123.68]  # blue, green, red
    np.testing.assert_allclose(vgg16.preprocess(red, "caffe").ravel(), expected, rtol=1e-6)


def test_preprocess_of_colours_for_torchvision() -> None:
    red = jnp.asarray([1.0, 0.0, 0.0]).reshape(1, 1, 1, 3)
    expected = [(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0 - 0.406) / 0.225]  # red, green, blue
    np.testing.assert_allclose(vgg16.preprocess(red, "torchvision").ravel(), expected, rtol=1e-6)


@pytest.mark.parametrize("convention", ["caffe", "torchvision"])
def test_preprocess_repeats_one_channel(convention: vgg16.Convention) -> None:
    grey = jnp.asarray(np.random.default_rng(0).random((2, 3, 4, 1)), jnp.float32)
    out = vgg16.preprocess(grey, convention)
    assert out.shape == (2, 3, 4, 3)
    assert out.dtype == jnp.float32
    colour = vgg16.preprocess(jnp.repeat(grey, 3, axis=-1), convention)
    np.testing.assert_array_equal(out, colour)


def test_preprocess_rejects_other_channels() -> None:
    with pytest.raises(ValueError, match="1 or 3 channels, got 2"):
        vgg16.preprocess(jnp.zeros((1, 4, 4, 2)), "caffe")


def test_images_of_eight_bits_or_without_a_batch_are_refused(monkeypatch) -> None:
    # Off, as for users: types hold these back before the function itself can.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    weights = vgg16.VGG16Weights({}, None, "caffe", "random")
    with pytest.raises(ValueError, match="float numbers, not uint8"):
        vgg16.vgg16_features(weights, jnp.zeros((1, 32, 32, 1), jnp.uint8))
    with pytest.raises(ValueError, match=r"\(n, height, width, channels\), not \(32, 32, 1\)"):
        vgg16.vgg16_features(weights, jnp.zeros((32, 32, 1)))


@pytest.mark.shared
@pytest.mark.torch
def test_published_weights_against_pytorch_layer_by_layer(shared: Path) -> None:
    torch = pytest.importorskip("torch")
    from torch.nn import functional

    weights = shared / "weights" / FILE_NAME
    picture = sorted((shared / "data/chest_xray/test/NORMAL").glob("*.jpeg"))[0]
    pixels = np.asarray(Image.open(picture).convert("L"))
    assert pixels.shape == (224, 224)

    bgr = np.stack([pixels - mean for mean in (103.939, 116.779, 123.68)])
    x = torch.from_numpy(bgr[None])  # float64: the reference has no rounding to speak of
    expected = {}
    with h5py.File(weights) as file, torch.no_grad():
        for block, convs in BLOCKS.items():
            for conv in convs:
                name = f"{block}_{conv}"
                kernel = torch.from_numpy(file[f"{name}/{name}_W_1:0"][()]).double()
                bias = torch.from_numpy(file[f"{name}/{name}_b_1:0"][()]).double()
                x = functional.conv2d(x, kernel.permute(3, 2, 0, 1), bias, padding=1).relu()
                expected[name] = x.permute(0, 2, 3, 1).numpy()
            x = functional.max_pool2d(x, 2)
    flat = x.permute(0, 2, 3, 1).reshape(1, -1).numpy()

    params, graphdef = load_vgg16_weights(weights).params, vgg16.graphdef()
    images = jnp.asarray(pixels[None, :, :, None] / np.float32(255))

    @jax.jit
    def forward(params, images):
        model = nnx.merge(graphdef, params)
        return model.layer_outputs(vgg16.preprocess(images, "caffe"))

    outputs = forward(params, images)
    assert list(expected) == NAMES
    assert set(outputs) == set(NAMES)
    for name in NAMES:
        error = np.linalg.norm(outputs[name] - expected[name]) / np.linalg.norm(expected[name])
        assert error < 1e-4, f"{name}: {error:.1e}"
    extract = jax.jit(vgg16.extract, static_argnums=(0, 3))
    features = extract(graphdef, params, images, "caffe")
    assert features.shape == (1, 25088)
    assert np.linalg.norm(features - flat) / np.linalg.norm(flat) < 1e-4


def test_sizes_and_conventions_that_have_no_answer_are_refused() -> None:
    images = jnp.zeros((1, 224, 224, 1))
    with pytest.raises(ValueError, match="convention must be 'caffe' or 'torchvision'"):
        vgg16.preprocess.__wrapped__(images, "keras")
    weights = vgg16.VGG16Weights({}, {}, "caffe", "none")
    with pytest.raises(ValueError, match="31 by 224 pixels are too few"):
        vgg16.vgg16_features(weights, images[:, :31])
    with pytest.raises(ValueError, match="192 by 224 pixels: resize them to 224 by 224"):
        vgg16.imagenet_logits.__wrapped__(weights, images[:, :192])
    network = TunedVGG16(5, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="2 a side at least"):
        network(jnp.zeros((1, 1, 4, 512)))
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\), got 1.5"):
        TunedVGG16(5, dropout=1.5, rngs=nnx.Rngs(0))
