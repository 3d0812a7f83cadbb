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

from jxr.config import DataConfig, PhantomConfig, RestorerStudyConfig
from ml_collections_configs import getter

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
get_config = getter(RUNS, __file__)
