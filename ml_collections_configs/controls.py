"""Configs of the controls: what shortcuts alone score.

    python -m experiments.controls --config=ml_collections_configs/controls.py:NAME \
        --workdir=DIR [--config.data.path=PATH]

demo     Phantoms, where nothing but the lungs differs between the classes: a minute.
kermany  The Guangzhou set, both tasks, sigma 2. A few minutes on two CPU cores; scores in
         `experiments/results/controls/results.json`.
"""

from ml_collections import ConfigDict

from jxr.config import ControlsConfig, DataConfig, PhantomConfig
from jxr.config_dict import to_config_dict
from jxr.errors import UserError

RUNS = {
    "demo": ControlsConfig(
        data=DataConfig(
            source="phantoms", size=128, phantoms=PhantomConfig(train=600, test=240, seed=1)
        ),
    ),
    "kermany": ControlsConfig(),
}


def get_config(name: str = "demo") -> ConfigDict:
    """Returns the config `name`."""
    if name not in RUNS:
        raise UserError(f"no config '{name}' in controls.py: give one of {', '.join(RUNS)}")
    return to_config_dict(RUNS[name])
