"""Configs of single U-Nets.

    python -m experiments.train_restorer --config=ml_collections_configs/restorer.py:NAME \
        --workdir=DIR --config.data.path=FOLDER [--config.blur.sigma=1]

cpu   16 channels, residual, 112-pixel crops, 3 epochs: eleven minutes on two CPU cores;
      scores in `experiments/results/kermany/results.json`.
full  64 channels, whole images, 30 epochs, as many as the report: for accelerators, three minutes
      on one H200. With these rates only the first seven epochs were run; see
      experiments/results/h200. What needs less memory: unet.schedule.accumulate=4,
      unet.remat=True, unet.schedule.precision=bfloat16 (this one changes the result).
"""

from jxr.config import RestorerRun
from ml_collections_configs import getter
from ml_collections_configs.reproduce import CPU_UNET

RUNS = {"cpu": RestorerRun(unet=CPU_UNET), "full": RestorerRun()}
get_config = getter(RUNS, __file__)
