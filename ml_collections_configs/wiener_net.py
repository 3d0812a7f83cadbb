"""Configs of the restorer for all blurs.

    python -m experiments.train_wiener_net --config=ml_collections_configs/wiener_net.py:NAME \
        --workdir=DIR --config.data.path=FOLDER

kermany  The weights that ship with the package.
"""

from jxr.config import WienerNetRun
from ml_collections_configs import getter

RUNS = {"kermany": WienerNetRun()}
get_config = getter(RUNS, __file__)
