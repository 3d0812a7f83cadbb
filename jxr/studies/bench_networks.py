"""Cases of the benchmark: networks beside the same ones in PyTorch; none without PyTorch."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jxr.models import UNet, WienerNet, abstract, apply, load_restorer, split
from jxr.models.vgg16 import extract, graphdef
from jxr.models.vgg16_weights import random_weights
from jxr.optics import gaussian_blur, gaussian_profile
from jxr.restoration.wiener_bank import wiener_bank
from jxr.studies.bench_optics import RADIUS, SIGMA, chests
from jxr.studies.timing import Case, largest_difference, waiting
from jxr.training.step import Task, init_state, make_train_step

LEARNING_RATE = 1e-3
# Pixels and images for VGG-16; pixels, images, channels and poolings for the U-Net.
VGG_SIZES = {"full": (224, 16), "tiny": (32, 2)}
UNET_SIZES = {"full": (224, 8, 16, 4), "tiny": (32, 2, 2, 2)}
NET_SIZES = {"full": (112, 8, 64, 5), "tiny": (32, 2, 4, 2)}  # pixels, images, channels, blocks


def vgg_features_cases(scale: str) -> Iterator[Case]:
    """VGG-16's features of ordinary images, with random kernels, beside PyTorch's."""
    import torch

    from jxr.studies.torch_peers import finish, to_torch, torch_vgg16, variants, works

    size, batch = VGG_SIZES[scale]
    images = chests(batch, size)[..., None]
    params = jax.jit(random_weights)(jax.random.key(0))
    colours, graph = np.repeat(images, 3, axis=-1), graphdef()
    # The convention `torchvision` scales the pixels, which costs nothing beside the convolutions.
    ours = waiting(lambda p, x: extract(graph, p, x, "torchvision"), params, colours)
    means, deviations = (
        torch.tensor(values).reshape(3, 1, 1)
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    for variant in variants():
        model = variant.compiled(variant.place(torch_vgg16(params)))
        inputs = variant.place((to_torch(colours) - means) / deviations)

        def peer(model: Callable = model, inputs: Any = inputs) -> Any:
            with torch.inference_mode():
                features = model(inputs)
            finish()
            return features

        def error(peer: Callable = peer) -> float:
            return largest_difference(ours(), peer().permute(0, 2, 3, 1).cpu().numpy())

        if works(peer, variant.name):
            apart = tolerance()
            yield Case("vgg_features", variant.name, ours, peer, error, apart, batch, ("torch",))


def unet_train_cases(scale: str) -> Iterator[Case]:
    """A training step of a U-Net, see `train_cases`."""
    size, batch, width, depth = UNET_SIZES[scale]
    originals, blurred = pairs(batch, size)

    def build(key: Any) -> UNet:
        return UNet(width=width, depth=depth, rngs=nnx.Rngs(params=key))

    def peer(params: Any) -> Any:
        from jxr.studies.torch_peers import torch_unet

        return torch_unet(params, depth)

    yield from train_cases("unet_train", build, (blurred,), originals, peer)


def restorer_train_cases(scale: str) -> Iterator[Case]:
    """A training step of the restorer for all blurs, from its Wiener estimates on."""
    size, batch, width, blocks = NET_SIZES[scale]
    originals, blurred = pairs(batch, size)
    told = {"noise": 0.01, "quantisation": 0.0}
    kernel, log_power = gaussian_profile(SIGMA, radius=RADIUS), load_restorer().params["log_power"]
    bank = jax.jit(wiener_bank)(blurred, kernel, log_power, **told)
    conditions = np.broadcast_to(bank.conditions, (batch, bank.conditions.size))
    wanted = np.asarray((originals - bank.best) / bank.error_std)

    def build(key: Any) -> WienerNet:
        return WienerNet(width=width, blocks=blocks, rngs=nnx.Rngs(params=key))

    def peer(params: Any) -> Any:
        from jxr.studies.torch_peers import torch_wiener_net

        return torch_wiener_net(params, blocks)

    inputs = (np.asarray(bank.inputs), np.asarray(conditions))
    yield from train_cases("restorer_train", build, inputs, wanted, peer)


def pairs(batch: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Chests, and the same blurred."""
    originals = chests(batch, size)[..., None]
    return originals, np.asarray(gaussian_blur(jnp.asarray(originals), SIGMA, radius=RADIUS))


def train_cases(
    what: str,
    build: Callable[[Any], Any],
    inputs: tuple[np.ndarray, ...],
    wanted: np.ndarray,
    torch_network: Callable[[Any], Any],
) -> Iterator[Case]:
    """Training steps (mean squared error, Adam) beside PyTorch's of the same network.

    The times are of whole steps; compared are the loss and all gradients of the first.
    """
    import torch

    from jxr.studies.torch_peers import finish, gradients_like, to_torch, variants, works

    key, adam = jax.random.key(0), optax.adam(LEARNING_RATE)
    graph, _ = abstract(build)
    params = jax.jit(lambda key: moved(split(build(key))[1], key))(key)
    batch = len(wanted)
    data = jax.device_put({"inputs": inputs, "image": wanted, "example_id": np.arange(batch)})

    def losses(params: Any, batch: Any, _: Any) -> Any:
        return jnp.square(apply(graph, params, *batch["inputs"]) - batch["image"]).mean((1, 2, 3))

    def mean_loss(params: Any) -> Any:
        return losses(params, data, key).mean()

    loss_and_gradients = jax.jit(jax.value_and_grad(mean_loss))(params)
    task = Task(lambda _: jax.tree.map(jnp.copy, params), losses)
    step = jax.jit(make_train_step(task, adam), donate_argnums=0)
    state = init_state(task, adam, key)

    def ours() -> Any:
        nonlocal state
        state, loss = step(state, data, key)
        return jax.block_until_ready(loss)

    for variant in variants():
        network = variant.place(torch_network(params))
        model = variant.compiled(network)
        given = [variant.place(to_torch(x)) if x.ndim == 4 else torch.tensor(x) for x in inputs]
        target = variant.place(to_torch(wanted))
        given = [x.to(target.device) for x in given]
        optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)

        def backward(
            model: Any = model, optimizer: Any = optimizer, x: Any = given, y: Any = target
        ) -> Any:
            optimizer.zero_grad(set_to_none=True)
            loss = torch.nn.functional.mse_loss(model(*x), y)
            loss.backward()
            return loss

        def peer(backward: Callable = backward, optimizer: Any = optimizer) -> None:
            backward()
            optimizer.step()
            finish()

        def error(backward: Callable = backward, network: Any = network) -> float:
            loss = backward().item()
            theirs = (np.float32(loss), gradients_like(network, params))
            return max(
                jax.tree.leaves(jax.tree.map(largest_difference, loss_and_gradients, theirs))
            )

        if works(backward, variant.name):
            # A ReLU whose input is 0 but for rounding passes its gradient on one side only.
            apart = tolerance(2e-2)
            yield Case(what, variant.name, ours, peer, error, apart, batch, ("torch",))


def moved(params: Any, key: Any) -> Any:
    """Returns parameters away from 0, where some begin, and the gradients by others vanish."""
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    noisy = (x + 0.02 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True))
    return jax.tree.unflatten(structure, noisy)


def tolerance(on_cpu: float = 1e-3) -> float:
    """Returns how far results may be apart: accelerators multiply with fewer digits, in both."""
    return on_cpu if jax.default_backend() == "cpu" else 5e-2
