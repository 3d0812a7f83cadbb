"""The networks of `jxr.models` once more in PyTorch, as peers of the benchmark.

PyTorch is no dependency: it is imported within the functions, and only the benchmark calls them.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging

from jxr.models.functional import Params
from jxr.models.vgg16 import LAYERS
from jxr.threads import cores


class Variant(NamedTuple):
    """One way to run PyTorch.

    Attributes:
        name: with the number of threads.
        place: brings a module or a tensor of images to the device and into the memory layout.
        compiled: module -> callable.
        call: (callable, its arguments) -> its result in float32.
    """

    name: str
    place: Callable[[Any], Any]
    compiled: Callable[[Any], Callable]
    call: Callable[..., Any]


def variants(dtype: str) -> Iterator[Variant]:
    """Yields PyTorch eager in both layouts, then compiled; none if JAX's device is not its own.

    Args:
        dtype: "float32", or "bfloat16" by PyTorch's automatic mixed precision.

    Raises:
        ModuleNotFoundError: without PyTorch.
    """
    import torch

    platform = jax.default_backend()
    if platform != "cpu" and not (platform == "gpu" and torch.cuda.is_available()):
        logging.warning("this PyTorch cannot compute on JAX's device (%s): left out", platform)
        return
    device = "cpu" if platform == "cpu" else "cuda"
    torch.set_num_threads(cores())

    def rows(x: Any) -> Any:
        return x.to(device).to(memory_format=torch.contiguous_format)

    def pixels(x: Any) -> Any:
        return x.to(device).to(memory_format=torch.channels_last)

    def call(function: Callable, *arguments: Any) -> Any:
        with torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16"):
            return function(*arguments).float()

    where = f", {cores()} threads" if device == "cpu" else ""
    yield Variant(f"torch eager NCHW{where}", rows, lambda module: module, call)
    yield Variant(f"torch eager channels_last{where}", pixels, lambda module: module, call)
    yield Variant(f"torch.compile channels_last{where}", pixels, torch.compile, call)


def works(peer: Callable[[], Any], name: str) -> bool:
    """Calls a peer once; says so if it cannot run here (`torch.compile` needs a C++ compiler)."""
    try:
        peer()
    except Exception as error:  # torch.compile has no narrower class for its many failures
        logging.warning("%s does not work here (%s): left out", name, str(error).split("\n")[0])
        return False
    return True


def finish() -> None:
    """Waits until the device is done."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def to_torch(images: Any) -> Any:
    """NHWC -> a tensor of logical shape NCHW."""
    import torch

    return torch.tensor(np.asarray(images)).permute(0, 3, 1, 2)


def torch_vgg16(params: Params) -> Any:
    """VGG-16's convolutions with the parameters of `jxr.models.vgg16.VGG16`."""
    import torch

    layers: list[Any] = []
    for name, _, _ in LAYERS:
        if layers and name.endswith("_conv1"):
            layers.append(torch.nn.MaxPool2d(2))
        layers += [convolution(params[name]), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.MaxPool2d(2))


def torch_unet(params: Params, depth: int) -> Any:
    """A U-Net with the parameters and the layer names of `jxr.models.UNet`, not residual."""
    import torch

    class TorchUNet(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, layer in params.items():
                if name.startswith("upconv"):
                    module: Any = up_convolution(layer)
                elif name == "head":
                    module = convolution(layer)
                else:
                    module = torch.nn.Sequential()
                    for part in ("conv1", "conv2"):
                        module.add_module(part, convolution(layer[part]))
                        module.add_module(f"{part}_relu", torch.nn.ReLU())
                self.add_module(name, module)

        def forward(self, x: Any) -> Any:
            skips = []
            for level in range(depth):
                x = getattr(self, f"down{level}")(x)
                skips.append(x)
                x = torch.nn.functional.max_pool2d(x, 2)
            x = getattr(self, f"down{depth}")(x)
            for level in reversed(range(depth)):
                x = torch.cat([skips[level], getattr(self, f"upconv{level}")(x)], dim=1)
                x = getattr(self, f"up{level}")(x)
            return self.get_submodule("head")(x)

    return TorchUNet()


def torch_wiener_net(params: Params, blocks: int) -> Any:
    """The network of `jxr.models.WienerNet` with its parameters and the names of its layers."""
    import torch

    channels = params["first"]["kernel"].shape[2]
    # PyTorch puts the channel before the place in a block of 2x2 pixels, we put it behind.
    order = np.arange(channels).reshape(-1, 4).T.ravel()

    class TorchWienerNet(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name in ("first", "last"):
                self.add_module(name, convolution(params[name]))
            for number in range(blocks):
                layers = params[f"block{number}"]
                block: Any = torch.nn.Module()
                block.add_module("conv1", convolution(layers["conv1"]))
                block.add_module("conv2", convolution(layers["conv2"]))
                kernel = torch.tensor(np.asarray(layers["shift"]["kernel"])).T.contiguous()
                rows, columns = kernel.shape
                block.add_module("shift", torch.nn.Linear(columns, rows, bias=False))
                block.shift.weight = torch.nn.Parameter(kernel)
                self.add_module(f"block{number}", block)

        def forward(self, x: Any, conditions: Any) -> Any:
            first, last = (self.get_submodule(name) for name in ("first", "last"))
            x = first(torch.nn.functional.pixel_unshuffle(x, 2)[:, order])
            for number in range(blocks):
                block: Any = self.get_submodule(f"block{number}")
                shift = block.shift(conditions)[..., None, None]
                x = x + block.conv2(torch.relu(block.conv1(x) + shift))
            return torch.nn.functional.pixel_shuffle(last(torch.relu(x)), 2)

    return TorchWienerNet()


def convolution(layer: Params) -> Any:
    """A convolution with same padding from a kernel (height, width, in, out) and a bias."""
    import torch

    kernel = torch.tensor(np.asarray(layer["kernel"])).permute(3, 2, 0, 1).contiguous()
    n_out, n_in, height, width = kernel.shape
    module = torch.nn.Conv2d(n_in, n_out, (height, width), padding="same")
    return with_parameters(module, kernel, layer)


def up_convolution(layer: Params) -> Any:
    """The 2x2 up-convolution of stride 2 from a kernel (2, 2, in, out) and a bias."""
    import torch

    kernel = torch.tensor(np.asarray(layer["kernel"])).permute(2, 3, 0, 1).contiguous()
    module = torch.nn.ConvTranspose2d(kernel.shape[0], kernel.shape[1], 2, stride=2)
    return with_parameters(module, kernel, layer)


def with_parameters(module: Any, kernel: Any, layer: Params) -> Any:
    """The module with a kernel in PyTorch's order and the bias of a layer of ours."""
    import torch

    module.weight = torch.nn.Parameter(kernel)
    module.bias = torch.nn.Parameter(torch.tensor(np.asarray(layer["bias"])))
    return module


def gradients_like(module: Any, params: Params) -> Params:
    """The gradients that `backward` left in a network here, in the shapes of our own parameters."""

    def gradient(path: tuple, leaf: Any) -> np.ndarray:
        *names, kind = (part.key for part in path)
        if not names:  # a measured spectrum, which belongs to no layer
            return np.zeros_like(leaf)
        layer = module.get_submodule(".".join(names))
        if kind == "bias":
            return layer.bias.grad.cpu().numpy()
        if leaf.ndim == 2:
            return layer.weight.grad.T.cpu().numpy()
        order = (2, 3, 0, 1) if names[0].startswith("upconv") else (2, 3, 1, 0)
        return layer.weight.grad.permute(order).cpu().numpy()

    return jax.tree_util.tree_map_with_path(gradient, params)
