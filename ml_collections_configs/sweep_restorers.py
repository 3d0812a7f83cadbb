"""Configs of the sweep of U-Nets over sigma.

    python -m experiments.sweep_restorers --config=ml_collections_configs/sweep_restorers.py:NAME \
        --workdir=DIR [--config.data.path=PATH] [--part=test]

demo     Small U-Nets on phantoms of 64 pixels: about a minute on two CPU cores.
kermany  The report's U-Net, four at once, on the Guangzhou images, for an accelerator; not run yet.

`sweep(NAME)` lists the same U-Nets as single runs of `experiments.train_restorer`.
"""

from dataclasses import replace

from jxr.config import (
    DataConfig,
    PhantomConfig,
    RestorerRun,
    RestorerSweepConfig,
    ScheduleConfig,
    UNetConfig,
)
from ml_collections_configs import getter

RUNS = {
    "demo": RestorerSweepConfig(
        train_sigmas=(1.0, 2.0),
        learning_rates=(1e-3,),
        sigmas=(0.0, 1.0, 2.0, 3.0),
        data=DataConfig(
            source="phantoms", size=64, phantoms=PhantomConfig(train=240, test=120, seed=1)
        ),
        unet=UNetConfig(
            width=8,
            depth=2,
            residual=True,
            crop=32,
            schedule=ScheduleConfig(epochs=8, batch_size=8),
        ),
    ),
    "kermany": RestorerSweepConfig(),
}
get_config = getter(RUNS, __file__)


def sweep(name: str = "demo") -> list[RestorerRun]:
    """Returns every U-Net of the sweep as a run of its own."""
    config = RUNS[name]
    return [
        RestorerRun(
            seed=seed,
            data=config.data,
            blur=replace(config.blur, sigma=sigma),
            unet=replace(config.unet, schedule=replace(config.unet.schedule, learning_rate=rate)),
        )
        for sigma in config.train_sigmas
        for rate in config.learning_rates
        for seed in config.seeds
    ]
