"""Configs of the whole report.

    python -m experiments.reproduce --config=ml_collections_configs/reproduce.py:NAME \
        --workdir=DIR [--config.data.path=PATH] [--config.weights.path=FILE]

demo          The report on synthetic radiographs of 128 pixels with seeded random weights, so that
              nothing is downloaded: 6 to 22 minutes on two CPU cores. Its scores say nothing about
              patients; `make demo` runs it.
kermany       The report on the Guangzhou images with a U-Net that two CPU cores can train: 16
              channels, residual, 112-pixel crops, 3 epochs. Less than two hours there, of which a
              quarter of an hour for the scores over sigma (`--config.sweep_sigmas="()"`:
              without); scores in `experiments/results/kermany/results.json`.
kermany_full  The same with a U-Net of 64 channels on whole images for 30 epochs, for accelerators:
              on one H200 three minutes of training for each of the four U-Nets and two and a half
              for all else. With these rates only the first seven epochs were run; see
              experiments/results/h200. What needs less memory: see restorer.py.
"""

from jxr.config import (
    DataConfig,
    HeadConfig,
    PhantomConfig,
    ReproduceConfig,
    ScheduleConfig,
    UNetConfig,
    WeightsConfig,
)
from ml_collections_configs import getter

CPU_UNET = UNetConfig(
    width=16,
    residual=True,
    crop=112,
    schedule=ScheduleConfig(epochs=3, batch_size=8, log_every=50, checkpoint_every=250),
)
SWEEP = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
SEEDS = (0, 1, 2, 3, 4)  # means of two heads differ by more than blur does
DEMO = ReproduceConfig(
    conventions=("standard",),
    # Not one more: each costs the features of all test images twice.
    sweep_sigmas=(0.0, 1.0, 2.0, 3.0),
    # Chosen on phantoms of seed 0; the demo makes others.
    data=DataConfig(source="phantoms", size=128, phantoms=PhantomConfig(seed=1)),
    weights=WeightsConfig(kind="random"),
    # One dense layer: on features of random weights it does best.
    head=HeadConfig(
        hidden=(),
        dropout=0.0,
        schedule=ScheduleConfig(
            epochs=150, batch_size=32, learning_rate=3e-4, log_every=500, checkpoint_every=5000
        ),
    ),
    unet=UNetConfig(
        width=8,
        depth=3,
        residual=True,
        crop=64,
        schedule=ScheduleConfig(epochs=15, batch_size=8, log_every=50, checkpoint_every=500),
    ),
)
RUNS = {
    "demo": DEMO,
    "kermany": ReproduceConfig(seeds=SEEDS, unet=CPU_UNET, sweep_sigmas=SWEEP),
    "kermany_full": ReproduceConfig(seeds=SEEDS, sweep_sigmas=SWEEP),
}
get_config = getter(RUNS, __file__)
