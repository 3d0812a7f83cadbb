"""Configs of the whole report.

    python -m experiments.reproduce --config=ml_collections_configs/reproduce.py:NAME \
        --workdir=DIR --config.data.path=FOLDER [--config.weights.path=FILE]

kermany       The report on the Guangzhou images with a U-Net that two CPU cores can train: 16
              channels, residual, 112-pixel crops, 3 epochs. About two hours there; scores in
              `experiments/results/kermany/results.json`.
kermany_full  The same with the U-Net at full width, not residual, on whole images, for 30 epochs.
              For a GPU or TPU; not run to its end yet, so time and scores are unknown.
"""

from ml_collections import ConfigDict

from jxr.config import ReproduceConfig, ScheduleConfig, UNetConfig, to_config_dict
from jxr.errors import UserError

CPU_UNET = UNetConfig(
    width=16,
    residual=True,
    crop=112,
    schedule=ScheduleConfig(epochs=3, batch_size=8, log_every=50, checkpoint_every=250),
)
RUNS = {"kermany": ReproduceConfig(unet=CPU_UNET), "kermany_full": ReproduceConfig()}


def get_config(name: str = "kermany") -> ConfigDict:
    """Returns the config `name`."""
    if name not in RUNS:
        raise UserError(f"no config '{name}' in reproduce.py: give one of {', '.join(RUNS)}")
    return to_config_dict(RUNS[name])
