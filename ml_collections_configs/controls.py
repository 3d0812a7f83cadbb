"""Configs of the controls: what shortcuts alone score.

    python -m experiments.controls --config=ml_collections_configs/controls.py:NAME \
        --workdir=DIR [--config.data.path=PATH]

demo     Phantoms, where nothing but the lungs differs between the classes: a minute.
kermany  The Guangzhou set, both tasks, sigma 2. A few minutes on two CPU cores; scores in
         `experiments/results/controls/results.json`.
"""

from jxr.config import ControlsConfig, DataConfig, PhantomConfig
from ml_collections_configs import getter

RUNS = {
    "demo": ControlsConfig(
        data=DataConfig(
            source="phantoms", size=128, phantoms=PhantomConfig(train=600, test=240, seed=1)
        ),
    ),
    "kermany": ControlsConfig(),
}
get_config = getter(RUNS, __file__)
