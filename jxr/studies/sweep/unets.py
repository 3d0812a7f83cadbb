"""U-Nets as one stack, each trained on one blur, all tested over blurs they were not trained on."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jaxtyping import Array, Float, Float64, Int, Key

from jxr import rng
from jxr.config import BlurConfig, RestorerSweepConfig, UNetConfig
from jxr.data import eval_batches
from jxr.files import write_json
from jxr.models import abstract, apply
from jxr.studies.dataset import Dataset, load_dataset
from jxr.studies.restorers import check_blur, check_unet, setting_of, unet_recipe
from jxr.studies.sweep.members import Member, diverged, members_of, train_unet_stack
from jxr.studies.workdir import FILES, Study
from jxr.training.launch import PLAIN, Launch
from jxr.training.sweep import Mapped, best_mapping, mapping
from jxr.training.tasks import blurred_images, build_unet

BATCH = 4  # images, each at all sigmas at once


def restorer_sweep_study(
    config: RestorerSweepConfig, workdir: Path, cache: Path, part: str, launch: Launch = PLAIN
) -> dict[str, Any]:
    """Runs what is left of the study and returns (and writes) its results.

    Args:
        config: Which images, U-Nets and blurs.
        workdir: Run directory; gets `results.json` for test images, `validation.json` for the
            others.
        cache: Folder of decoded images, which other runs may share.
        part: `validation`, or `test` once the recipe is finished.
        launch: See `fit`.

    Raises:
        UserError: a mistake in the config or the images; every U-Net diverged.
    """
    widest = replace(config.blur, sigma=max(*config.sigmas, *config.train_sigmas))
    check_blur(widest, config.data.size)
    check_unet(config.unet, config.data.size)
    dataset = load_dataset(config.data, cache)
    stages = Study(workdir, config, data=dataset.fingerprint)
    members = members_of(config)
    with stages.kept("train"):
        trained = train_unet_stack(config, members, dataset, workdir / "unets", launch)
    rows = np.sort(dataset.part(part))

    def scored() -> list[dict[str, Any]]:
        errors = unet_errors(
            config.unet,
            trained.params,
            dataset,
            rows,
            config.sigmas,
            replace(config.blur, sigma=max(config.sigmas)),
            best_mapping(),
        )
        return error_rows(config, members, errors, trained.sound)

    table = stages.run(f"score-{part}", scored)
    notes = [*dataset.notes, f"scored on {part} images", *diverged(members, trained)]
    results = {
        "provenance": stages.provenance(notes),
        "part": part,
        "restoration": table,
    }
    write_json(workdir / FILES[part], results)
    return results


def unet_errors(
    config: UNetConfig,
    params: Any,
    dataset: Dataset,
    rows: Int[np.ndarray, " n"],
    sigmas: Sequence[float],
    blur: BlurConfig,
    mapped: Mapped,
) -> Float64[np.ndarray, "sigmas kinds n"]:
    """Returns the mean squared error of every image, not restored and by every member.

    Args:
        config: Of the U-Nets.
        params: Theirs, stacked.
        dataset: The images.
        rows: Which of them.
        sigmas: Of the blur, in pixels.
        blur: The rest of the setting; its sigma is the largest.
        mapped: How a device goes over members.
    """
    graph, _ = abstract(build_unet(config))
    key = rng.stream(jax.random.key(0), "noise")
    found = []
    for batch in eval_batches({"image": dataset.images}, batch_size=BATCH, rows=rows):
        images = batch["image"], batch["example_id"]
        errors = _errors(
            (config, blur, mapped), graph, params, *images, key, jnp.array(sigmas, jnp.float32)
        )
        found.append(np.asarray(errors, np.float64)[..., batch["mask"] > 0])
        logging.info("scored %d of %d images", min(len(found) * BATCH, len(rows)), len(rows))
    return np.concatenate(found, axis=-1)


@partial(jax.jit, static_argnums=(0, 1))
def _errors(
    static: tuple[UNetConfig, BlurConfig, Mapped],
    graph: Any,
    params: Any,
    images: Float[Array, "batch height width 1"],
    ids: Int[Array, " batch"],
    key: Key[Array, ""],
    sigmas: Float[Array, " sigmas"],
) -> Float[Array, "sigmas kinds batch"]:
    config, blur, mapped = static

    def error(restored: Array) -> Array:
        return jnp.square(jnp.clip(restored, 0, 1) - images).mean(axis=(1, 2, 3))

    def at(sigma: Array) -> Array:
        blurred = blurred_images(images, ids, key, blur, sigma)

        def member(params: Any) -> Array:
            restored = apply(graph, params, jnp.repeat(blurred, config.channels, axis=-1))
            return error(restored.mean(axis=-1, keepdims=True))

        restored = mapping(mapped)(member)(params)
        return jnp.concatenate([error(blurred)[None], restored])

    return jax.vmap(at)(sigmas)  # all by the same kernels, so it is but a larger batch


def error_rows(
    config: RestorerSweepConfig,
    members: Sequence[Member],
    errors: Float64[np.ndarray, "sigmas kinds n"],
    sound: np.ndarray,
) -> list[dict[str, Any]]:
    """Returns the mean error of each member at each sigma, and of the images as they are."""
    table = []
    for sigma, at_sigma in zip(config.sigmas, errors, strict=True):
        common = {**setting_of(replace(config.blur, sigma=sigma)), "n": errors.shape[-1]}
        table.append({"method": "none", **common, "mse": float(at_sigma[0].mean())})
        for member, one, fine in zip(members, at_sigma[1:], sound, strict=True):
            if fine:
                table.append(
                    {
                        "method": "unet",
                        "recipe": unet_recipe(config.unet),
                        "train_sigma": member.sigma,
                        "learning_rate": member.learning_rate,
                        "seed": member.seed,
                        **common,
                        "mse": float(one.mean()),
                    }
                )
    return table
