"""Configs of the study of the restorer for all blurs.

    python -m experiments.restorer --config=ml_collections_configs/restorer_study.py:NAME \
        --workdir=DIR [--config.data.path=PATH] [--config.restorer.path=FILE]

demo     The shipped weights on a few phantoms: minutes.
kermany  Sigma 1 and 2 in both conventions, as float32, 8 bits and with noise, on the validation
         images of the Guangzhou set, or with `--config.part=test` on the 624 test images; wrong
         blurs, a grid of blurs and noises. `--config.images=8 --config.large.path=PATH` adds crops
         of its test originals. Half an hour on two CPU cores; scores in
         `experiments/results/restorer/results.json`.
"""

from ml_collections import ConfigDict

from jxr.config import DataConfig, PhantomConfig, RestorerStudyConfig
from jxr.config_dict import to_config_dict
from jxr.errors import UserError

RUNS = {
    "demo": RestorerStudyConfig(
        sigmas=(2.0,),
        conventions=("standard",),
        subset=12,
        data=DataConfig(
            source="phantoms", size=128, phantoms=PhantomConfig(train=120, test=24, seed=1)
        ),
    ),
    "kermany": RestorerStudyConfig(),
}


def get_config(name: str = "demo") -> ConfigDict:
    """Returns the config `name`."""
    if name not in RUNS:
        raise UserError(f"no config '{name}' in restorer_study.py: give one of {', '.join(RUNS)}")
    return to_config_dict(RUNS[name])
