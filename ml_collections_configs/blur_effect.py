"""Configs of the study of what blur does to frozen features.

    python -m experiments.blur_effect --config=ml_collections_configs/blur_effect.py:NAME \
        --workdir=DIR [--config.data.path=PATH] [--config.weights.path=FILE]

demo     Phantoms of 64 pixels and seeded random weights: a minute.
kermany  Sigma 0 to 4 on the Guangzhou images: a quarter of an hour a sigma on two CPU cores.
"""

from ml_collections import ConfigDict

from jxr.config import BlurEffectConfig, DataConfig, PhantomConfig, WeightsConfig
from jxr.config_dict import to_config_dict
from jxr.errors import UserError

RUNS = {
    "demo": BlurEffectConfig(
        sigmas=(0.0, 2.0),
        data=DataConfig(
            source="phantoms", size=64, phantoms=PhantomConfig(train=240, test=120, seed=1)
        ),
        weights=WeightsConfig(kind="random"),
    ),
    "kermany": BlurEffectConfig(),
}


def get_config(name: str = "demo") -> ConfigDict:
    """Returns the config `name`."""
    if name not in RUNS:
        raise UserError(f"no config '{name}' in blur_effect.py: give one of {', '.join(RUNS)}")
    return to_config_dict(RUNS[name])
