"""Configs of the table of classical restoration methods.

    python -m experiments.restoration --config=ml_collections_configs/restoration.py:NAME \
        --workdir=DIR [--config.data.path=PATH]

demo     Sigma 2 on a few phantoms: a minute.
kermany  Sigma 1 and 2 in both conventions, as float32, 8 bits and with noise, on the 624 test
         images of the Guangzhou set. One to two hours on two CPU cores; scores in
         `experiments/results/restoration/results.json`.
"""

from jxr.config import DataConfig, PhantomConfig, RestorationTableConfig
from ml_collections_configs import getter

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
get_config = getter(RUNS, __file__)
