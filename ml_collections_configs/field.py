"""Configs of the study of blur that varies over the field.

    python -m experiments.field --config=ml_collections_configs/field.py:NAME \
        --workdir=DIR [--config.data.path=PATH --config.small.path=PATH]

demo     Phantoms of 512 pixels, operators up to 512: two minutes.
kermany  Crops of 1024 pixels of the Guangzhou set's originals (data.path), operators up to 2048,
         and real exposures on the test images at 224x224 (small.path; the same folder will do). Ten
         to twenty minutes on two CPU cores; scores in `experiments/results/field/results.json`.
"""

from jxr.config import DataConfig, FieldConfig, PhantomConfig
from ml_collections_configs import getter

PHANTOMS = PhantomConfig(train=18, test=18, seed=1)

RUNS = {
    "demo": FieldConfig(
        data=DataConfig(source="phantoms", size=512, phantoms=PHANTOMS),
        small=DataConfig(source="phantoms", phantoms=PHANTOMS),
        exposures=("incubator_large",),
        images=4,
        noises=(0.002,),
        growth_sizes=(128, 256, 512),
        dense_sizes=(128,),
    ),
    "kermany": FieldConfig(),
}
get_config = getter(RUNS, __file__)
