"""Configs of the study of images whose labels nobody knows.

    python -m experiments.adaptation --config=ml_collections_configs/adaptation.py:NAME \
        --workdir=DIR [--config.data.path=PATH] [--config.weights.path=FILE] [--part=test]

demo     Phantoms of 64 pixels and seeded random weights: a minute.
kermany  The report's heads on the Guangzhou images, five seeds: after the features, which other
         runs share, seven minutes on two CPU cores for three styles, and four for the test images.
"""

from jxr.config import (
    AdaptationConfig,
    DataConfig,
    HeadConfig,
    PhantomConfig,
    ScheduleConfig,
    WeightsConfig,
)
from ml_collections_configs import getter

RUNS = {
    "demo": AdaptationConfig(
        seeds=(0, 1),
        styles=2,
        data=DataConfig(
            source="phantoms",
            size=64,
            phantoms=PhantomConfig(train=240, test=120, seed=1),
            validation_fraction=0.25,
        ),
        weights=WeightsConfig(kind="random"),
        head=HeadConfig(hidden=(), schedule=ScheduleConfig(epochs=60, learning_rate=3e-4)),
    ),
    "kermany": AdaptationConfig(),
}
get_config = getter(RUNS, __file__)
