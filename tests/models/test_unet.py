"""The U-Net against PyTorch, and its up-convolution against the library's own."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from jxr.models import UNet, apply, split
from jxr.models.functional import Params
from jxr.models.unet import UpConv


def random_model(make: Callable[[nnx.Rngs], nnx.Module]) -> tuple[nnx.GraphDef, Params]:
    """The graph, and random numbers in every leaf: biases of zero would hide mistakes."""
    graphdef, shapes = split(nnx.eval_shape(lambda: make(nnx.Rngs(0))))
    rng = np.random.default_rng(1)
    return graphdef, jax.tree.map(
        lambda a: jnp.asarray(rng.normal(0, 0.3, a.shape), a.dtype), shapes
    )


def torch_unet(params: Params, depth: int):
    """Ronneberger's network in PyTorch, from its figure; the layers in the order of the call."""
    torch = pytest.importorskip("torch")
    nn = torch.nn

    def conv(layer: Params, padding: int):
        kernel = torch.tensor(np.asarray(layer["kernel"])).permute(3, 2, 0, 1)
        out = nn.Conv2d(kernel.shape[1], kernel.shape[0], kernel.shape[2:], padding=padding)
        out.weight.data, out.bias.data = kernel, torch.tensor(np.asarray(layer["bias"]))
        return out

    def double(layer: Params):
        convs = conv(layer["conv1"], 1), nn.ReLU(), conv(layer["conv2"], 1), nn.ReLU()
        return nn.Sequential(*convs)

    def up(layer: Params):
        kernel = torch.tensor(np.asarray(layer["kernel"])).permute(2, 3, 0, 1)
        out = nn.ConvTranspose2d(kernel.shape[0], kernel.shape[1], 2, stride=2)
        out.weight.data, out.bias.data = kernel, torch.tensor(np.asarray(layer["bias"]))
        return out

    class Reference(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.ModuleList(double(params[f"down{i}"]) for i in range(depth + 1))
            self.upconv = nn.ModuleList(up(params[f"upconv{i}"]) for i in range(depth))
            self.up = nn.ModuleList(double(params[f"up{i}"]) for i in range(depth))
            self.last = conv(params["head"], 0)

        def forward(self, x):
            skips = []
            for i in range(depth):
                x = self.down[i](x)
                skips.append(x)
                x = nn.functional.max_pool2d(x, 2)
            x = self.down[depth](x)
            for i in reversed(range(depth)):
                x = self.up[i](torch.cat([skips[i], self.upconv[i](x)], dim=1))
            return self.last(x)

    return Reference().double()


def relative(a, b) -> float:
    return np.linalg.norm(np.asarray(a) - np.asarray(b)) / np.linalg.norm(np.asarray(b))


@pytest.mark.torch
@pytest.mark.parametrize("depth", [4, 1])
def test_forward_against_pytorch(depth: int) -> None:
    torch = pytest.importorskip("torch")
    graphdef, params = random_model(lambda rngs: UNet(width=4, depth=depth, rngs=rngs))
    images = np.random.default_rng(2).random((2, 32, 16, 1), np.float32)
    with torch.no_grad():
        x = torch.tensor(images).permute(0, 3, 1, 2).double()
        expected = torch_unet(params, depth)(x).permute(0, 2, 3, 1)
    out = jax.jit(lambda p, x: apply(graphdef, p, x))(params, jnp.asarray(images))
    assert out.shape == images.shape
    assert relative(out, expected) < 1e-5


@pytest.mark.torch
def test_gradients_against_pytorch() -> None:
    torch = pytest.importorskip("torch")
    graphdef, params = random_model(lambda rngs: UNet(width=3, depth=2, channels=3, rngs=rngs))
    images = np.random.default_rng(2).random((2, 12, 20, 3), np.float32)
    reference = torch_unet(params, depth=2)
    x = torch.tensor(images).permute(0, 3, 1, 2).double().requires_grad_()
    reference(x).square().mean().backward()

    gradients = jax.grad(lambda p, x: jnp.mean(apply(graphdef, p, x) ** 2), argnums=(0, 1))
    by_params, by_images = jax.jit(gradients)(params, jnp.asarray(images))
    assert relative(by_images, x.grad.permute(0, 2, 3, 1)) < 1e-4
    for i in range(3):
        kernel = reference.down[i][0].weight.grad.permute(2, 3, 1, 0)
        assert relative(by_params[f"down{i}"]["conv1"]["kernel"], kernel) < 1e-4
    for i in range(2):
        kernel = reference.upconv[i].weight.grad.permute(2, 3, 0, 1)
        assert relative(by_params[f"upconv{i}"]["kernel"], kernel) < 1e-4
        assert relative(by_params[f"up{i}"]["conv2"]["bias"], reference.up[i][2].bias.grad) < 1e-4


def test_structure_is_ronnebergers() -> None:
    _, params = split(nnx.eval_shape(lambda: UNet(rngs=nnx.Rngs(0))))
    shapes = jax.tree.map(lambda a: a.shape, params)
    kernels = {
        f"{block}/{conv}": shapes[block][conv]["kernel"]
        for block in shapes
        if block.startswith(("down", "up")) and not block.startswith("upconv")
        for conv in ("conv1", "conv2")
    }
    # Figure 1 of the paper: channels 64, 128, 256, 512, 1024 and back.
    assert kernels == {
        "down0/conv1": (3, 3, 1, 64),
        "down0/conv2": (3, 3, 64, 64),
        "down1/conv1": (3, 3, 64, 128),
        "down1/conv2": (3, 3, 128, 128),
        "down2/conv1": (3, 3, 128, 256),
        "down2/conv2": (3, 3, 256, 256),
        "down3/conv1": (3, 3, 256, 512),
        "down3/conv2": (3, 3, 512, 512),
        "down4/conv1": (3, 3, 512, 1024),
        "down4/conv2": (3, 3, 1024, 1024),
        "up3/conv1": (3, 3, 1024, 512),
        "up3/conv2": (3, 3, 512, 512),
        "up2/conv1": (3, 3, 512, 256),
        "up2/conv2": (3, 3, 256, 256),
        "up1/conv1": (3, 3, 256, 128),
        "up1/conv2": (3, 3, 128, 128),
        "up0/conv1": (3, 3, 128, 64),
        "up0/conv2": (3, 3, 64, 64),
    }
    ups = {name: shapes[name]["kernel"] for name in shapes if name.startswith("upconv")}
    assert ups == {
        "upconv3": (2, 2, 1024, 512),
        "upconv2": (2, 2, 512, 256),
        "upconv1": (2, 2, 256, 128),
        "upconv0": (2, 2, 128, 64),
    }
    assert shapes["head"]["kernel"] == (1, 1, 64, 1)
    assert len(shapes) == 5 + 4 + 4 + 1


def upconv_case() -> tuple[nnx.GraphDef, Params, jax.Array, jax.Array]:
    graphdef, params = random_model(lambda rngs: UpConv(6, 5, rngs=rngs))
    rng = np.random.default_rng(4)
    x = jnp.asarray(rng.normal(size=(2, 3, 7, 6)), jnp.float32)  # odd sizes
    weight = jnp.asarray(rng.normal(size=(2, 6, 14, 5)), jnp.float32)
    return graphdef, params, x, weight


def test_up_convolution_and_gradients_equal_conv_transpose() -> None:
    graphdef, params, x, weight = upconv_case()

    def ours(params, x):
        out = apply(graphdef, params, x)
        return jnp.sum(out * weight), out

    def library(params, x):
        kernel = jnp.swapaxes(params["kernel"], 2, 3)
        out = lax.conv_transpose(
            x,
            kernel,
            (2, 2),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            transpose_kernel=True,
        )
        out = out + params["bias"]
        return jnp.sum(out * weight), out

    (_, got), got_grads = jax.value_and_grad(ours, argnums=(0, 1), has_aux=True)(params, x)
    (_, want), want_grads = jax.value_and_grad(library, argnums=(0, 1), has_aux=True)(params, x)
    assert got.shape == (2, 6, 14, 5)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    assert jax.tree.structure(got_grads) == jax.tree.structure(want_grads)
    for a, b in zip(jax.tree.leaves(got_grads), jax.tree.leaves(want_grads), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.torch
def test_up_convolution_equals_pytorch() -> None:
    torch = pytest.importorskip("torch")
    graphdef, params, x, _ = upconv_case()
    want = torch.nn.functional.conv_transpose2d(
        torch.tensor(np.asarray(x)).permute(0, 3, 1, 2),
        torch.tensor(np.asarray(params["kernel"])).permute(2, 3, 0, 1),
        torch.tensor(np.asarray(params["bias"])),
        stride=2,
    )
    got = apply(graphdef, params, x)
    np.testing.assert_allclose(got, want.permute(0, 2, 3, 1), rtol=1e-5, atol=1e-5)


def test_residual_adds_the_input() -> None:
    images = jnp.asarray(np.random.default_rng(0).random((1, 8, 8, 1)), jnp.float32)
    plain, params = random_model(lambda rngs: UNet(width=2, depth=1, rngs=rngs))
    residual, _ = random_model(lambda rngs: UNet(width=2, depth=1, residual=True, rngs=rngs))
    np.testing.assert_allclose(
        apply(residual, params, images), apply(plain, params, images) + images, rtol=1e-6
    )


def test_residual_starts_as_the_identity_and_learns() -> None:
    images = jnp.asarray(np.random.default_rng(0).random((1, 8, 8, 1)), jnp.float32)
    graphdef, params = split(UNet(width=4, depth=0, residual=True, rngs=nnx.Rngs(0)))
    np.testing.assert_array_equal(apply(graphdef, params, images), images)
    gradient = jax.grad(lambda p: apply(graphdef, p, images).sum())(params)
    assert np.abs(gradient["head"]["kernel"]).max() > 0


def test_initial_scales() -> None:
    _, params = split(UNet(width=64, depth=1, rngs=nnx.Rngs(0)))
    for conv, n_in in (("conv1", 128), ("conv2", 64)):
        kernel = np.asarray(params["up0"][conv]["kernel"])
        np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (9 * n_in)), rtol=0.02)
    head = np.asarray(params["head"]["kernel"])  # of 64 numbers only
    np.testing.assert_allclose(head.std(), np.sqrt(2 / 64), rtol=0.3)
    # One of the 2x2 taps reaches an output pixel, so the fan-in is the input channels.
    up = np.asarray(params["upconv0"]["kernel"])
    np.testing.assert_allclose(up.std(), np.sqrt(2 / 128), rtol=0.02)
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if "bias" in jax.tree_util.keystr(path):
            assert not np.asarray(leaf).any()


@pytest.mark.parametrize("size", [(8, 12), (12, 8), (17, 16)])
def test_size_that_cannot_be_halved(size: tuple[int, int]) -> None:
    graphdef, params = random_model(lambda rngs: UNet(width=2, depth=3, rngs=rngs))
    message = rf"depth 3 .*divisible by 8, got {size[0]}x{size[1]}: pad or crop"
    with pytest.raises(ValueError, match=message):
        apply(graphdef, params, jnp.zeros((1, *size, 1)))


@pytest.mark.parametrize(("depth", "size"), [(0, (7, 5)), (1, (6, 10))])
def test_sizes_odd_at_the_bottom(depth: int, size: tuple[int, int]) -> None:
    graphdef, params = random_model(lambda rngs: UNet(width=2, depth=depth, rngs=rngs))
    images = jnp.zeros((1, *size, 1))
    assert jax.eval_shape(lambda: apply(graphdef, params, images)).shape == images.shape
