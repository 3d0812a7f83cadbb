"""Configs of the study of blur that varies over the field.

    python -m experiments.field --config=ml_collections_configs/field.py:NAME \
        --workdir=DIR [--config.data.path=PATH --config.small.path=PATH]

demo     Phantoms of 512 pixels, operators up to 512: two minutes.
kermany  Crops of 1024 pixels of the Guangzhou set's originals (data.path), operators up to 2048,
         and real exposures on the test images at 224x224 (small.path; the same folder will do). Ten
         to twenty minutes on two CPU cores; scores in `experiments/results/field/results.json`.
"""

from ml_collections import ConfigDict

from jxr.config import DataConfig, FieldConfig, PhantomConfig
from jxr.config_dict import to_config_dict
from jxr.errors import UserError

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


def get_config(name: str = "demo") -> ConfigDict:
    """Returns the config `name`."""
    if name not in RUNS:
        raise UserError(f"no config '{name}' in field.py: give one of {', '.join(RUNS)}")
    return to_config_dict(RUNS[name])
