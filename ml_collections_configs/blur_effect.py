"""Configs of the study of what blur does to frozen features.

    python -m experiments.blur_effect --config=ml_collections_configs/blur_effect.py:NAME \
        --workdir=DIR [--config.data.path=PATH] [--config.weights.path=FILE]

demo     Phantoms of 64 pixels and seeded random weights: a minute.
kermany  Sigma 0 to 4 on the Guangzhou images: a quarter of an hour a sigma on two CPU cores.
"""

from jxr.config import BlurEffectConfig, DataConfig, PhantomConfig, WeightsConfig
from ml_collections_configs import getter

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
get_config = getter(RUNS, __file__)
