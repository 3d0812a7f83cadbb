"""Configs of the classification study.

    python -m experiments.classification --config=ml_collections_configs/classification.py:NAME \
        --workdir=DIR [--config.data.path=PATH] [--config.weights.path=FILE] [--part=test]

demo     Phantoms of 64 pixels and seeded random weights: a few minutes on two CPU cores.
kermany  The report's heads, and VGG-16 fine-tuned from its fifth block on, five seeds each, on the
         Guangzhou images.
kermany_whole  The same with all of VGG-16 fine-tuned, at 224 pixels and on another random view of
         each image in each epoch, for accelerators: on one H100 17 seconds for each of ten
         networks, and two minutes for all else but the tables.
"""

from jxr.config import (
    ClassificationConfig,
    DataConfig,
    FineTuningConfig,
    HeadConfig,
    PhantomConfig,
    ScheduleConfig,
    WeightsConfig,
)
from ml_collections_configs import getter

RUNS = {
    "demo": ClassificationConfig(
        seeds=(0, 1),
        data=DataConfig(
            source="phantoms",
            size=64,
            phantoms=PhantomConfig(train=240, test=120, seed=1),
            validation_fraction=0.25,
        ),
        weights=WeightsConfig(kind="random"),
        head=HeadConfig(hidden=(), schedule=ScheduleConfig(epochs=60, learning_rate=3e-4)),
        tuned=FineTuningConfig(
            size=64,
            views=1,
            schedule=ScheduleConfig(epochs=10, learning_rate=1e-4, decay="cosine", clip_norm=1.0),
        ),
    ),
    "kermany": ClassificationConfig(),
    "kermany_whole": ClassificationConfig(
        tuned=FineTuningConfig(
            size=224,
            first_block=1,
            views=0,
            schedule=ScheduleConfig(
                epochs=12,
                learning_rate=3e-5,
                decay="cosine",
                clip_norm=1.0,
                precision="bfloat16",
                log_every=100,
            ),
        ),
    ),
}
get_config = getter(RUNS, __file__)
