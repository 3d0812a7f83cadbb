"""Every kind of weights file against PyTorch: one full state dict of random numbers, 528 MB."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from jxr.config import WeightsConfig
from jxr.errors import UserError
from jxr.models import apply, imagenet_logits, load_vgg16_weights, vgg16_weights
from jxr.models.state_dicts import StoredTensor
from jxr.models.vgg16_torchvision import from_torchvision
from jxr.models.vgg16_weights import FILE_NAME
from jxr.studies.features import load_backbone

# Configuration D of the paper; M is a pooling.
CONFIGURATION = [64, 64, "M", 128, 128, "M", *3 * [256], "M", *3 * [512], "M", *3 * [512], "M"]
IMAGE = np.random.default_rng(1).random((1, 224, 224, 3), np.float32)


class Reference(NamedTuple):
    model: Any
    state: dict[str, np.ndarray]  # shares its memory with the model

    def logits(self, x: np.ndarray) -> np.ndarray:
        """The logits of preprocessed images (batch, height, width, channel)."""
        import torch

        with torch.no_grad():
            return self.model(torch.from_numpy(np.moveaxis(x, 3, 1).copy())).numpy()


@pytest.fixture(scope="module")
def reference() -> Reference:
    """torchvision's VGG-16, built by hand, with He-normal kernels: its logits are of order 1."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    with torch.device("meta"):  # makes no numbers
        layers, n_in = [], 3
        for n_out in CONFIGURATION:
            if n_out == "M":
                layers.append(nn.MaxPool2d(2, 2))
            else:
                layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU()]
                n_in = n_out
        model = nn.Module()
        model.features = nn.Sequential(*layers)
        model.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        model.classifier = nn.Sequential(
            *(nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout()),
            *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()),
            nn.Linear(4096, 1000),
        )
    model.forward = lambda x: model.classifier(model.avgpool(model.features(x)).flatten(1))
    rng = np.random.default_rng(0)
    state = {}
    for name, tensor in model.state_dict().items():
        numbers = rng.standard_normal(tuple(tensor.shape), np.float32)
        fan_in = np.prod(tensor.shape[1:])
        numbers *= np.float32(np.sqrt(2 / fan_in) if name.endswith("weight") else 0.3)
        state[name] = numbers
    tensors = {name: torch.from_numpy(array) for name, array in state.items()}
    model.load_state_dict(tensors, assign=True)
    return Reference(model.eval(), state)


def difference(logits: jax.Array, expected: np.ndarray) -> float:
    """The largest difference of a logit, in units of the largest logit."""
    assert logits.shape == expected.shape == (1, 1000)
    assert 1 < np.abs(expected).max() < 30
    assert len(np.unique(expected)) > 900
    return float(np.abs(np.asarray(logits) - expected).max() / np.abs(expected).max())


def write(kind: str, path: Path, state: dict[str, np.ndarray]) -> None:
    if kind == "safetensors":
        save_file(state, path)
        return
    import torch

    tensors = {name: torch.from_numpy(array) for name, array in state.items()}
    torch.save(tensors, path, _use_new_zipfile_serialization=kind == "zip")


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_imagenet_logits_of_a_torchvision_file(reference, tmp_path, kind) -> None:
    means, deviations = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    expected = reference.logits((IMAGE - means) / deviations)
    path = tmp_path / "weights"  # no suffix: the file itself tells what it is
    write(kind, path, reference.state)
    weights = load_vgg16_weights(path)
    path.unlink()
    assert weights.convention == "torchvision"
    assert difference(jax.jit(imagenet_logits)(weights, IMAGE), expected) < 1e-4


@pytest.mark.torch
def test_imagenet_logits_of_a_keras_file_with_top(reference, tmp_path, monkeypatch) -> None:
    # The network sees 0..255 values, so the first kernel is made smaller by as much.
    small = reference.state["features.0.weight"].copy()
    reference.state["features.0.weight"] /= 64
    try:
        expected = reference.logits(IMAGE * 255 - np.float32([123.68, 116.779, 103.939]))
        path = tmp_path / "weights"
        digest = write_keras(path, reference.state)
    finally:
        reference.state["features.0.weight"][:] = small
    with pytest.raises(UserError, match="holds other numbers"):
        load_vgg16_weights(path)
    monkeypatch.setattr(vgg16_weights, "FINGERPRINT", digest)
    weights = load_vgg16_weights(path)
    with h5py.File(path, "r+") as file:
        found: list[h5py.Dataset] = []
        file.visititems(lambda name, item: found.append(item) if "predictions" in name else None)
        bias = next(one for one in found if isinstance(one, h5py.Dataset) and one.ndim == 1)
        bias[0] = np.nan
    with pytest.raises(UserError, match="a dense layer that is not finite"):
        load_vgg16_weights(path)
    path.unlink()
    assert weights.convention == "caffe"
    assert weights.fingerprint == digest
    assert difference(jax.jit(imagenet_logits)(weights, IMAGE), expected) < 1e-4


def write_keras(path: Path, state: dict[str, np.ndarray]) -> str:
    """Writes the same network for images in B, G, R; returns the SHA-256 of its convolutions."""
    blocks = [
        f"block{b}_conv{c}" for b, n in enumerate((2, 2, 3, 3, 3), 1) for c in range(1, n + 1)
    ]
    names = [*blocks, "fc1", "fc2", "predictions"]
    kernels = [name for name in state if name.endswith("weight")]
    # Number of a feature in PyTorch's order (channel, row, column), in the order of Keras.
    order = [c * 49 + y * 7 + x for y in range(7) for x in range(7) for c in range(512)]
    digest = hashlib.sha256()
    with h5py.File(path, "w") as file:
        for name, key in zip(names, kernels, strict=True):
            kernel, bias = state[key], state[key.replace("weight", "bias")]
            if name == "block1_conv1":
                kernel = kernel[:, [2, 1, 0]]
            if name == "fc1":
                kernel = kernel[:, order]
            kernel = np.ascontiguousarray(np.moveaxis(kernel, (0, 1), (-1, -2)))
            for array, end in ((kernel, "W_1:0"), (bias, "b_1:0")):
                file.create_dataset(f"{name}/{name}_{end}", data=array)
                if name in blocks:
                    digest.update(array.tobytes())
    return digest.hexdigest()


@pytest.mark.torch
def test_features_alone_through_the_config(reference, tmp_path) -> None:
    import torch

    path = tmp_path / "features.safetensors"
    save_file({k: v for k, v in reference.state.items() if k.startswith("features.")}, path)
    backbone = load_backbone(WeightsConfig(path=str(path)))
    assert backbone.convention == "torchvision"
    with pytest.raises(ValueError, match="no dense layers"):
        imagenet_logits(load_vgg16_weights(path), jnp.asarray(IMAGE))
    with torch.no_grad():
        x = torch.from_numpy(np.moveaxis(IMAGE[:, :64, :96], 3, 1).copy())
        expected = reference.model.features(x).permute(0, 2, 3, 1).numpy()
    found = apply(backbone.graphdef, backbone.params, jnp.asarray(IMAGE[:, :64, :96]))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.max())


@pytest.mark.shared
def test_published_convolutions_in_a_pytorch_file_keep_their_convention(shared, tmp_path) -> None:
    published = load_vgg16_weights(shared / "weights" / FILE_NAME)
    indices = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    state = {}
    for i, layer in zip(indices, published.params.values(), strict=True):
        state[f"features.{i}.weight"] = np.asarray(layer["kernel"]).transpose(3, 2, 0, 1).copy()
        state[f"features.{i}.bias"] = np.asarray(layer["bias"])
    path = tmp_path / "weights.safetensors"
    save_file(state, path)
    weights = load_vgg16_weights(path)
    assert weights.convention == "caffe"
    assert weights.fingerprint == published.fingerprint


def zeros(shape: tuple[int, ...], dtype: str = "float32") -> StoredTensor:
    """A tensor that takes no memory."""
    return StoredTensor(dtype, shape, lambda: np.broadcast_to(np.zeros((), dtype), shape))


def zero_state() -> dict[str, StoredTensor]:
    state, i, n_in = {}, 0, 3
    for n_out in CONFIGURATION:
        if n_out != "M":
            state[f"features.{i}.weight"] = zeros((n_out, n_in, 3, 3))
            state[f"features.{i}.bias"] = zeros((n_out,))
            n_in, i = n_out, i + 1
        i += 1
    for i, (n_out, n_in) in zip(
        (0, 3, 6), ((4096, 25088), (4096, 4096), (1000, 4096)), strict=True
    ):
        state[f"classifier.{i}.weight"] = zeros((n_out, n_in))
        state[f"classifier.{i}.bias"] = zeros((n_out,))
    return state


def one_of_them(value: float) -> StoredTensor:
    numbers = np.zeros(64, np.float32)
    numbers[5] = value
    return StoredTensor("float32", (64,), lambda: numbers)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features.0.weight": None}, "no tensor features.0.weight"),
        ({"features.28.bias": None}, "no tensor features.28.bias"),
        (
            {"features.0.weight": zeros((3, 3, 3, 64))},
            r"float32 \(3, 3, 3, 64\), not float32 \(64,",
        ),
        ({"features.2.bias": zeros((64,), "float16")}, r"features.2.bias is float16 \(64,\), not"),
        ({"features.0.bias": one_of_them(np.nan)}, "0.bias has numbers that are not"),
        ({"features.0.bias": one_of_them(-np.inf)}, "0.bias has numbers that are not"),
        ({"classifier.0.weight": None}, "no tensor classifier.0.weight"),
        ({"classifier.0.weight": zeros((4096, 512, 7, 7))}, r"\(4096, 512, 7, 7\), not float32"),
    ],
)
def test_wrong_state_dicts(changes, message) -> None:
    state = {**zero_state(), **changes}
    state = {name: tensor for name, tensor in state.items() if tensor is not None}
    with pytest.raises(UserError, match=message) as error:
        from_torchvision(state, Path("some.pth"))
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("some.pth")


def test_a_tensor_that_vgg16_has_not() -> None:
    state = {name: tensor for name, tensor in zero_state().items() if "classifier" not in name}
    _, top = from_torchvision(state, Path("some.pth"))
    assert top is None
    with pytest.raises(
        UserError, match=r"has a tensor 'features\.30\.weight', which VGG-16 has not"
    ):
        from_torchvision({**state, "features.30.weight": zeros((4,))}, Path("some.pth"))


def test_a_safetensors_file_that_begins_like_a_pickle(tmp_path) -> None:
    path = tmp_path / "weights"
    for length in range(1, 200):
        save_file({"x" * length: np.zeros(1, np.float32)}, path)
        if path.read_bytes()[0] == 0x80:
            break
    assert path.read_bytes()[0] == 0x80
    with pytest.raises(UserError, match=r"no tensor features\.0\.weight"):
        load_vgg16_weights(path)
