# %% [markdown]
"""# A tour: what a focal spot does to a radiograph, and what can be done about it

A notebook kept as a script: VS Code, PyCharm and Jupytext open its cells. As a plain script it
takes some seconds, and writes its figures into the folder that it is given, if any:

python -m experiments.tour [FOLDER]

Everything is made up: phantoms, and a VGG-16 with random weights. No score means anything for
patients.
"""

# %%
import math
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import optax
from flax import nnx

import jxr
from jxr.config import HeadConfig
from jxr.data.phantoms import phantom
from jxr.evaluation import calibrate, coverage, error_map
from jxr.models import VGG16, VGG16Weights, abstract
from jxr.optics import blur_separable, sigma_px
from jxr.restoration import mean_power_spectrum, transfer_function
from jxr.training.step import init_state, make_train_step
from jxr.training.tasks import classifier_task

NOTEBOOK = "ipykernel" in sys.modules
FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 and not NOTEBOOK else None
if not NOTEBOOK:
    matplotlib.use("Agg")


def keep(figure, name):
    """Writes a figure if there is a folder for it; a notebook shows it by itself."""
    if FOLDER is not None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        figure.savefig(FOLDER / f"{name}.png", dpi=100)


def pictures(images, name, **options):
    """Shows images side by side, each under its title."""
    size = (2 * len(images), 2.4)
    figure, axes = plt.subplots(1, len(images), figsize=size, layout="constrained")
    for place, (title, image) in zip(axes, images.items(), strict=True):
        place.imshow(image[..., 0], **({"cmap": "gray", "vmin": 0, "vmax": 1} | options))
        place.set_title(title, fontsize=9)
        place.set_axis_off()
    keep(figure, name)


# %% [markdown]
# ## Phantoms
#
# Synthetic chests, drawn from a key: the same key and another label is the same child, ill. Images
# are float32 in [0, 1], of (batch, height, width, channel).

# %%
LABELS = np.arange(18) % 3  # 0 normal, 1 bacteria, 2 virus
sharp = jnp.stack([phantom(jax.random.key(n), label, size=64) for n, label in enumerate(LABELS)])
pictures({"Normal": sharp[0], "Bacteria": sharp[1], "Virus": sharp[2]}, "phantoms")

# %% [markdown]
# ## A focal spot's blur
#
# A spot of 1.2 mm, an object 20 cm above the detector. We pretend that the phantom is a detail of
# 4 x 4 mm; over a whole chest in 64 pixels this blur would be a fiftieth of a pixel, which is why
# sigmas of one or two pixels at the size of a network's input are a stress test.

# %%
exposure = jxr.Geometry(
    focal_spot_mm=(1.2, 1.2),
    anode_angle_deg=12.0,
    source_detector_mm=1000.0,
    source_object_mm=800.0,
    pixel_pitch_mm=0.06,
)
psf = jxr.psf_at(exposure, 0.0, 0.0, radius=7)
kernel = psf.sum(0)  # a Gaussian spot's PSF is the product of two such profiles
blurred = jxr.quantise(jxr.blur(sharp, psf))  # as a file of 8 bits keeps it
told_sigma = float(sigma_px(exposure)[0])
print(f"magnification {exposure.magnification}, sigma {told_sigma:.2f} pixels")

# %% [markdown]
# ## What it does to a spectrum
#
# Under a mirrored boundary cosines diagonalise the blur: each is multiplied by its transfer. Where
# the power falls below that of rounding to 8 bits, no method can bring it back from one image.

# %%
power, blurred_power = (np.diagonal(mean_power_spectrum(images)) for images in (sharp, blurred))
transfer = np.diagonal(transfer_function(kernel, 64, 64))
rounding = 1 / 255**2 / 12
figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
frequencies = np.arange(64) / 128
axes.semilogy(frequencies, power, label="sharp")
axes.semilogy(frequencies, blurred_power, label="blurred, 8 bits")
axes.semilogy(frequencies, power * transfer**2, "k:", label="sharp, times the transfer squared")
axes.axhline(rounding, color="grey", linestyle="--", linewidth=1, label="rounding to 8 bits")
axes.set(xlabel="Frequency along both axes (cycles a pixel)", ylabel="Power", ylim=(1e-7, None))
axes.legend(frameon=False, fontsize=8)
keep(figure, "spectrum")

# %% [markdown]
# ## Restored
#
# The Wiener filter needs to be told the noise beside the signal; the shipped network is told kernel
# and noise (here nothing but the rounding), and was trained on real radiographs.

# %%
restorer = jxr.load_restorer()
by_wiener = jnp.clip(jxr.wiener(blurred, kernel, 1e-3), 0, 1)
by_network = restorer(blurred, kernel, noise=0.0, quantisation=1 / 255)
found = {"Sharp": sharp, "Blurred": blurred, "Wiener": by_wiener, "Network": by_network}
errors = {title: float(jnp.mean((images - sharp) ** 2)) for title, images in found.items()}
titles = {title: f"{title}\nMSE {error:.1e}" if error else title for title, error in errors.items()}
pictures({titles[title]: images[1] for title, images in found.items()}, "restored")

# %% [markdown]
# ## How far may a pixel be off?
#
# Bounds calibrated on half of the phantoms, where the truth is known: 90 % of the pixels of the
# other half should lie within theirs.

# %%
restored, truth = np.asarray(by_network), np.asarray(sharp)
bound = calibrate(truth[:9], restored[:9], level=0.9)
covered = float(coverage(bound, truth[9:], restored[9:]).mean())
print(f"{covered:.1%} of the pixels of other phantoms are within a bound for 90 %")
actual, promised = np.abs(restored - truth)[10], error_map(bound, restored)[10]
pictures({"Error": actual, "Bound": promised}, "bounds", cmap="magma", vmax=promised.max())

# %% [markdown]
# ## Features and a head
#
# VGG-16 with random weights here; `jxr.load_vgg16()` fetches the published ones. A task is a way to
# draw parameters and a loss for each example; the step is a pure function, so `lax.scan` runs it.

# %%
generator = np.random.default_rng(0)


def drawn(leaf):
    """Returns a random kernel by He's rule, or a bias of zeros."""
    if leaf.ndim == 1:
        return jnp.zeros(leaf.shape)
    scale = np.float32(math.sqrt(2 / math.prod(leaf.shape[:-1])))
    return jnp.asarray(scale * generator.standard_normal(leaf.shape, np.float32))


template = abstract(lambda key: VGG16(rngs=nnx.Rngs(key)))[1]
vgg16 = VGG16Weights(jax.tree.map(drawn, template), None, "caffe", "random")
# Every other pixel, to be quick. VGG-16's inputs are 0 to 255 less a mean: 64 is their spread.
features = jax.jit(jxr.vgg16_features)(vgg16, sharp[:, ::2, ::2]) / 64
task = classifier_task(HeadConfig(hidden=(16,), dropout=0.2), features.shape[1])
optimizer = optax.adam(1e-3)
step = make_train_step(task, optimizer)
batch = {
    "features": features,
    "label": jnp.asarray(LABELS > 0, jnp.int32),  # pneumonia or not
    "example_id": jnp.arange(len(LABELS)),
}


@jax.jit
def trained(key):
    """Returns the state after 40 steps on all phantoms, and the loss of each step."""
    start = init_state(task, optimizer, key)
    return jax.lax.scan(lambda state, _: step(state, batch, key), start, length=40)


state, metrics = trained(jax.random.key(1))
print(f"loss {metrics.loss[0]:.2f} at first, {metrics.loss[-1]:.2f} at last")

# %% [markdown]
# ## A sweep over sigma
#
# Sigma is a traced value over a kernel of static size: `vmap` makes one program of all sigmas.

# %%
sigmas = jnp.linspace(0.0, 2.0, 5)
radius = jxr.kernel_radius(2.0)


@jax.jit
@jax.vmap
def sweep(sigma):
    """Returns the mean squared errors at one sigma: blurred, Wiener filter, network."""
    profile = jxr.gaussian_profile(sigma, radius=radius)
    seen = jxr.quantise(blur_separable(sharp[:4], profile))
    methods = (seen, jxr.wiener(seen, profile, 1e-3), restorer(seen, profile, noise=0.0))
    return jnp.stack([jnp.mean((images - sharp[:4]) ** 2) for images in methods])


table = sweep(sigmas)
figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
for title, marker, curve in zip(("blurred", "Wiener", "network"), "os^", table.T, strict=True):
    axes.semilogy(sigmas, curve, marker=marker, label=title)
axes.set(xlabel="Sigma (pixels)", ylabel="Mean squared error")
axes.legend(frameon=False)
keep(figure, "sweep")

# %% [markdown]
# ## A derivative by sigma
#
# What sigma made the blurred images, if the sharp ones are known? Gauss and Newton's steps, with
# the derivative in forward mode. The answer is the geometry's, and the aperture of a pixel.


# %%
@jax.jit
def improved(sigma):
    """Returns a sigma that fits the blurred images better."""

    def modelled(sigma):
        return jxr.blur(sharp, jxr.gaussian_psf(sigma, radius=7))

    now, slope = jax.jvp(modelled, (sigma,), (jnp.ones(()),))
    return sigma + jnp.vdot(slope, blurred - now) / jnp.vdot(slope, slope)


sigma = jnp.asarray(2.0)
for _ in range(6):
    sigma = improved(sigma)
expected_sigma = math.hypot(told_sigma, math.sqrt(1 / 12))
print(f"sigma fitted {sigma:.3f}, expected {expected_sigma:.3f} pixels")

if not NOTEBOOK:
    plt.close("all")
