"""Configs of the sweep of heads over sigma.

    python -m experiments.sweep_sigma --config=ml_collections_configs/sweep_sigma.py:NAME \
        --workdir=DIR [--config.data.path=PATH] [--config.weights.path=FILE] [--part=test]

demo     Phantoms of 64 pixels and seeded random weights: about a minute on two CPU cores.
kermany  The Guangzhou images, heads on sharp and on blurred ones, nine sigmas at two noises, each
         as they are and restored, on every second test image: ten minutes of training on cached
         features (a quarter of an hour a training sigma where there are none yet), then 40 minutes.

`sweep(NAME)` lists the same heads as single runs of `experiments.train_classifier`, which give the
same parameters to rounding.
"""

from dataclasses import replace

from jxr.config import (
    ClassifierRun,
    DataConfig,
    HeadConfig,
    PhantomConfig,
    ScheduleConfig,
    SigmaSweepConfig,
    WeightsConfig,
)
from ml_collections_configs import getter

RUNS = {
    "demo": SigmaSweepConfig(
        seeds=(0, 1),
        train_sigmas=(0.0,),
        sigmas=(0.0, 1.0, 2.0, 3.0),
        data=DataConfig(
            source="phantoms", size=64, phantoms=PhantomConfig(train=240, test=120, seed=1)
        ),
        weights=WeightsConfig(kind="random"),
        head=HeadConfig(schedule=ScheduleConfig(epochs=10, batch_size=16, learning_rate=1e-4)),
    ),
    "kermany": SigmaSweepConfig(images=312),
}
get_config = getter(RUNS, __file__)


def sweep(
    name: str = "demo", tasks: tuple[str, ...] = ("normal_vs_pneumonia", "bacterial_vs_viral")
) -> list[ClassifierRun]:
    """Returns every head of the sweep as a run of its own."""
    config = RUNS[name]
    return [
        ClassifierRun(
            task=task,
            train_on="blurred" if sigma else "original",
            seed=seed,
            data=config.data,
            weights=config.weights,
            blur=replace(config.blur, sigma=sigma),
            head=replace(config.head, schedule=replace(config.head.schedule, learning_rate=rate)),
        )
        for task in config.tasks or tasks
        for sigma in config.train_sigmas
        for rate in config.learning_rates
        for seed in config.seeds
    ]
