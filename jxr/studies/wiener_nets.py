"""One restorer for all blurs: trained on the images of a run, loaded, applied."""

import dataclasses
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jxr.config import BlurConfig, WienerNetRun
from jxr.config_dict import completed, from_config_dict
from jxr.data import batches
from jxr.errors import UserError
from jxr.models import Restorer, abstract, save_restorer
from jxr.optics import kernel_radius
from jxr.provenance import provenance
from jxr.restoration.wiener_bank import radial_log_power, wiener_bank
from jxr.studies.dataset import load_dataset
from jxr.studies.restoration.measured_spectra import signal_spectrum
from jxr.studies.restorers import Images, check_reflect, host_float64, in_batches, kernel_of
from jxr.studies.workdir import claimed, read_run
from jxr.training.checkpoints import latest_step, load_params
from jxr.training.launch import PLAIN, Launch
from jxr.training.loop import fit
from jxr.training.processes import this_part
from jxr.training.wiener_net_task import build_wiener_net, wiener_net_task


def train_wiener_net(
    run: WienerNetRun,
    workdir: Path,
    cache: Path,
    launch: Launch = PLAIN,
    *,
    accept_changes: bool = False,
) -> None:
    """Trains one network in `workdir`, or goes on with it; for the rest see `fit` and `claimed`.

    Raises:
        UserError: a mistake in the config or the images.
    """
    widest = run.degradations.max_sigma * (1 + run.degradations.width_error)
    if kernel_radius(widest) > run.data.size:
        raise UserError(
            f"degradations.max_sigma {run.degradations.max_sigma:g} needs a kernel larger than the"
            f" image's {run.data.size} pixels: lower it, or raise data.size"
        )
    if run.net.crop > run.data.size:
        raise UserError(f"net.crop {run.net.crop} is more than data.size {run.data.size}: lower it")
    dataset = load_dataset(run.data, cache)
    schedule = run.net.schedule
    with claimed(workdir, run, accept_changes, data=dataset.fingerprint):
        log_power = jnp.asarray(radial_log_power(signal_spectrum(dataset.images, dataset.train)))
        fit(
            wiener_net_task(run.net, run.degradations, log_power),
            batches(
                {"image": dataset.images},
                rows=dataset.train,
                batch_size=schedule.batch_size,
                seed=run.seed,
                part=this_part(),
            ),
            schedule=schedule,
            steps=schedule.steps(len(dataset.train)),
            seed=run.seed,
            directory=workdir,
            title="wiener_net",
            launch=launch,
        )


def export_wiener_net(workdir: Path, output: Path) -> None:
    """Writes the newest parameters of the run in `workdir` as a weights file.

    Its metadata say of which step they are: the run may not be finished.

    Raises:
        UserError: there is no run of a restorer for all blurs, or no checkpoint.
    """
    values = read_run(workdir)
    if "net" not in values:
        raise UserError(
            f"{workdir}: no run of a restorer for all blurs: train_wiener_net makes one"
        )
    data = values.pop("fingerprints")["data"]
    run = from_config_dict(WienerNetRun, completed(WienerNetRun, values))
    _, template = abstract(build_wiener_net(run.net))
    origin = provenance(run, data=data) | {"step": latest_step(workdir / "checkpoints")}
    kept = ("config", "fingerprints", "versions", "step")
    metadata = {key: json.dumps(origin[key]) for key in kept}
    save_restorer(load_params(workdir / "checkpoints", template), output, metadata)


def restored_by_net(
    restorer: Restorer,
    blurred: Images,
    blur: BlurConfig,
    *,
    told: float = 1.0,
    width_error: float = 0.0,
) -> Images:
    """Returns images of one blur setting restored by a network, in [0, 1].

    Float images without noise are restored in float64 on the CPU: what their best linear estimate
    amplifies is rounding.

    Args:
        restorer: the network.
        blurred: `degraded_images` of this setting.
        blur: the setting, of the boundary 'reflect'.
        told: the sigma that the restorer is told, as a factor of the true one.
        width_error: how uncertain it is told that this is, see `Restorer`.

    Raises:
        UserError: the boundary is another.
    """

    def restore(images: Array, kernel: Array, **numbers: float) -> Array:
        return restorer(images, kernel, width_error=width_error, **numbers)

    return _in_its_precision(restore, blurred, blur, told)


def linear_estimates(
    restorer: Restorer, blurred: Images, blur: BlurConfig, *, told: float = 1.0
) -> Images:
    """Returns the Wiener estimates that `restored_by_net` starts from, clipped to [0, 1]."""

    def restore(images: Array, kernel: Array, **numbers: float) -> Array:
        return _best_estimate(images, kernel, restorer.params["log_power"], **numbers)

    return _in_its_precision(restore, blurred, blur, told)


@jax.jit
def _best_estimate(images: Array, kernel: Array, log_power: Array, **numbers: Any) -> Array:
    return jnp.clip(wiener_bank(images, kernel, log_power, **numbers).best, 0, 1)


def _in_its_precision(
    restore: Callable[..., Array], blurred: Images, blur: BlurConfig, told: float
) -> Images:
    check_reflect(blur)
    eight_bit = blur.input_precision == "8bit"
    profile = kernel_of(dataclasses.replace(blur, sigma=told * blur.sigma), "device")
    numbers = {"noise": blur.noise, "quantisation": 1 / 255 if eight_bit else 0.0}
    ideal = not (eight_bit or blur.noise)
    context, dtype = (host_float64(), np.float64) if ideal else (nullcontext(), np.float32)

    def work(images: np.ndarray) -> np.ndarray:
        arrays = jnp.asarray(images, dtype), jnp.asarray(profile, dtype)
        restored = restore(*arrays, **numbers)
        return np.asarray(restored, np.float32)

    with context:
        return in_batches(work, blurred)
