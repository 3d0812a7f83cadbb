"""Cases of the benchmark: networks beside the same ones in PyTorch; none without PyTorch."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jxr.models import UNet, WienerNet, abstract, apply_in, load_restorer, split
from jxr.models.functional import in_precision
from jxr.models.vgg16 import extract, graphdef
from jxr.models.vgg16_weights import random_weights
from jxr.optics import gaussian_blur, gaussian_profile
from jxr.restoration.wiener_bank import wiener_bank
from jxr.studies.bench.optics import RADIUS, SIGMA, chests
from jxr.studies.bench.timing import Case, largest_difference, waiting
from jxr.training.flop import count_flop
from jxr.training.observe import compile_step
from jxr.training.step import Task, init_state, make_train_step

LEARNING_RATE = 1e-3
# By scale, and at full scale by whether it is a CPU: small batches leave accelerators idle.
# Pixels and images for VGG-16; pixels, images, channels and poolings for the U-Net.
VGG_SIZES = {"cpu": (224, 16), "accelerator": (224, 128), "tiny": (32, 2)}
UNET_SIZES = {"cpu": (224, 8, 16, 4), "accelerator": (224, 16, 64, 4), "tiny": (32, 2, 2, 2)}
# Pixels, images, channels and blocks for the restorer.
NET_SIZES = {"cpu": (112, 8, 64, 5), "accelerator": (112, 64, 64, 5), "tiny": (32, 2, 4, 2)}


def vgg_features_cases(scale: str) -> Iterator[Case]:
    """VGG-16's features of ordinary images, with random weights, beside PyTorch's."""
    import torch

    from jxr.studies.bench.torch_peers import finish, to_torch, torch_vgg16, variants, works

    size, batch = VGG_SIZES[kind(scale)]
    colours = np.repeat(chests(batch, size)[..., None], 3, axis=-1)
    params = jax.jit(random_weights)(jax.random.key(0))
    graph = graphdef()
    means, deviations = (
        torch.tensor(values).reshape(3, 1, 1)
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    for dtype in dtypes():

        def features(params: Any, images: Any, dtype: str = dtype) -> Any:
            # Scaling the pixels costs nothing beside the convolutions.
            flat = extract(graph, in_precision(dtype, params), images, "torchvision")
            return flat.astype(np.float32)

        ours, flop = waiting(features, params, colours), count_flop(features, params, colours)
        for variant in variants(dtype):
            model = variant.compiled(variant.place(torch_vgg16(params)))
            inputs = variant.place((to_torch(colours) - means) / deviations)

            def peer(call: Any = variant.call, model: Any = model, inputs: Any = inputs) -> Any:
                with torch.inference_mode():
                    features = call(model, inputs)
                finish()
                return features

            def error(ours: Callable = ours, peer: Callable = peer) -> float:
                theirs = peer().permute(0, 2, 3, 1).reshape(batch, -1)
                return largest_difference(ours(), theirs.cpu().numpy())

            if works(peer, variant.name):
                yield Case(
                    "vgg_features",
                    variant.name,
                    ours,
                    peer,
                    error,
                    tolerance(1e-3, dtype),
                    batch,
                    ("torch",),
                    dtype,
                    flop,
                )


def unet_train_cases(scale: str) -> Iterator[Case]:
    """A training step of a U-Net, see `train_cases`."""
    size, batch, width, depth = UNET_SIZES[kind(scale)]
    originals, blurred = pairs(batch, size)

    def build(key: Any) -> UNet:
        return UNet(width=width, depth=depth, rngs=nnx.Rngs(params=key))

    def peer(params: Any) -> Any:
        from jxr.studies.bench.torch_peers import torch_unet

        return torch_unet(params, depth)

    yield from train_cases("unet_train", build, (blurred,), originals, peer)


def restorer_train_cases(scale: str) -> Iterator[Case]:
    """A training step of the restorer for all blurs, from its Wiener estimates on."""
    size, batch, width, blocks = NET_SIZES[kind(scale)]
    originals, blurred = pairs(batch, size)
    told = {"noise": 0.01, "quantisation": 0.0}
    kernel, log_power = gaussian_profile(SIGMA, radius=RADIUS), load_restorer().params["log_power"]
    bank = jax.jit(wiener_bank)(blurred, kernel, log_power, **told)
    conditions = np.broadcast_to(bank.conditions, (batch, bank.conditions.size))
    wanted = np.asarray((originals - bank.best) / bank.error_std)

    def build(key: Any) -> WienerNet:
        return WienerNet(width=width, blocks=blocks, rngs=nnx.Rngs(params=key))

    def peer(params: Any) -> Any:
        from jxr.studies.bench.torch_peers import torch_wiener_net

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

    from jxr.studies.bench.torch_peers import finish, gradients_like, to_torch, variants, works

    key, adam = jax.random.key(0), optax.adam(LEARNING_RATE)
    graph, _ = abstract(build)
    params = jax.jit(lambda key: moved(split(build(key))[1], key))(key)
    batch = len(wanted)
    data = jax.device_put({"inputs": inputs, "image": wanted, "example_id": np.arange(batch)})
    for dtype in dtypes():

        def losses(params: Any, batch: Any, _: Any, dtype: str = dtype) -> Any:
            restored = apply_in(dtype, graph, params, *batch["inputs"])
            return jnp.square(restored - batch["image"]).mean((1, 2, 3))

        def mean_loss(params: Any, losses: Callable = losses) -> Any:
            return losses(params, data, key).mean()

        first = jax.jit(jax.value_and_grad(mean_loss))(params)
        task = Task(lambda _: jax.tree.map(jnp.copy, params), losses)
        step = make_train_step(task, adam)
        ours, flop = stepping(step, init_state(task, adam, key), data, key)
        for variant in variants(dtype):
            network = variant.place(torch_network(params))
            model = variant.compiled(network)
            given = [variant.place(to_torch(x)) if x.ndim == 4 else torch.tensor(x) for x in inputs]
            target = variant.place(to_torch(wanted))
            given = [x.to(target.device) for x in given]
            optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)

            def backward(
                call: Any = variant.call,
                model: Any = model,
                optimizer: Any = optimizer,
                x: Any = given,
                y: Any = target,
            ) -> Any:
                optimizer.zero_grad(set_to_none=True)
                loss = torch.nn.functional.mse_loss(call(model, *x), y)
                loss.backward()
                return loss

            def peer(backward: Callable = backward, optimizer: Any = optimizer) -> None:
                backward()
                optimizer.step()
                finish()

            def error(
                backward: Callable = backward, network: Any = network, first: Any = first
            ) -> float:
                loss = backward().item()
                theirs = (np.float32(loss), gradients_like(network, params))
                return max(jax.tree.leaves(jax.tree.map(largest_difference, first, theirs)))

            if works(backward, variant.name):
                yield Case(
                    what,
                    variant.name,
                    ours,
                    peer,
                    error,
                    # A ReLU whose input is 0 but for rounding passes its gradient on one side only.
                    tolerance(2e-2, dtype),
                    batch,
                    ("torch",),
                    dtype,
                    flop,
                )


def stepping(step: Any, state: Any, batch: Any, key: Any) -> tuple[Callable[[], Any], int]:
    """Returns a call that trains by one more step and waits, and the operations of a step."""
    compiled = compile_step(jax.jit(step, donate_argnums=0), state, batch, key)

    def ours() -> Any:
        nonlocal state
        state, loss = compiled.call(state, batch, key)
        return jax.block_until_ready(loss)

    return ours, compiled.flop


def moved(params: Any, key: Any) -> Any:
    """Returns parameters away from 0, where some begin, and the gradients by others vanish."""
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    noisy = (x + 0.02 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True))
    return jax.tree.unflatten(structure, noisy)


def kind(scale: str) -> str:
    """Returns which sizes count here: of `full`, those of a CPU or those of an accelerator."""
    on_cpu = jax.default_backend() == "cpu"
    return scale if scale != "full" else "cpu" if on_cpu else "accelerator"


def dtypes() -> tuple[str, ...]:
    """Returns in which dtypes networks are timed: CPUs have no units for bfloat16."""
    return ("float32",) if jax.default_backend() == "cpu" else ("float32", "bfloat16")


def tolerance(on_cpu: float, dtype: str) -> float:
    """Returns how far results may be apart: accelerators multiply with fewer digits, in both."""
    if dtype == "bfloat16":
        return 0.2
    return on_cpu if jax.default_backend() == "cpu" else 5e-2
