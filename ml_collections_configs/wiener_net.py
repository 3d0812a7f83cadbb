"""Configs of the restorer for all blurs.

    python -m experiments.train_wiener_net --config=ml_collections_configs/wiener_net.py:NAME \
        --workdir=DIR --config.data.path=FOLDER

kermany  The weights that ship with the package.
"""

from ml_collections import ConfigDict

from jxr.config import WienerNetRun
from jxr.config_dict import to_config_dict
from jxr.errors import UserError

RUNS = {"kermany": WienerNetRun()}


def get_config(name: str = "kermany") -> ConfigDict:
    """Returns the config `name`."""
    if name not in RUNS:
        raise UserError(f"no config '{name}' in wiener_net.py: give one of {', '.join(RUNS)}")
    return to_config_dict(RUNS[name])
