"""Configs of the table of classical restoration methods.

    python -m experiments.restoration --config=ml_collections_configs/restoration.py:NAME \
        --workdir=DIR [--config.data.path=PATH]

demo     Sigma 2 on a few phantoms: a minute.
kermany  Sigma 1 and 2 in both conventions, as float32, 8 bits and with noise, on the 624 test
         images of the Guangzhou set. One to two hours on two CPU cores; scores in
         `experiments/results/restoration/results.json`.
"""

from ml_collections import ConfigDict

from jxr.config import DataConfig, PhantomConfig, RestorationTableConfig
from jxr.config_dict import to_config_dict
from jxr.errors import UserError

RUNS = {
    "demo": RestorationTableConfig(
        sigmas=(2.0,),
        conventions=("standard",),
        data=DataConfig(
            source="phantoms", size=128, phantoms=PhantomConfig(train=120, test=24, seed=1)
        ),
    ),
    "kermany": RestorationTableConfig(),
}


def get_config(name: str = "demo") -> ConfigDict:
    """Returns the config `name`."""
    if name not in RUNS:
        raise UserError(f"no config '{name}' in restoration.py: give one of {', '.join(RUNS)}")
    return to_config_dict(RUNS[name])
