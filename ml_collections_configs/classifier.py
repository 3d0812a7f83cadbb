"""Configs of single heads on frozen VGG-16.

    python -m experiments.train_classifier \
        --config=ml_collections_configs/classifier.py:TASK-TRAIN_ON --workdir=DIR \
        --config.data.path=FOLDER [--config.weights.path=FILE] [--config.seed=1]

TASK is normal_vs_pneumonia or bacterial_vs_viral, TRAIN_ON is original or blurred. The first run of
a blur setting computes the features of all images, about 15 minutes for 5,856 images on two CPU
cores; after that a head takes half a minute. Expected scores:
`experiments/results/kermany/results.json`.
"""

from jxr.config import ClassifierRun
from ml_collections_configs import getter

RUNS = {
    "normal_vs_pneumonia-original": ClassifierRun("normal_vs_pneumonia", "original"),
    "normal_vs_pneumonia-blurred": ClassifierRun("normal_vs_pneumonia", "blurred"),
    "bacterial_vs_viral-original": ClassifierRun("bacterial_vs_viral", "original"),
    "bacterial_vs_viral-blurred": ClassifierRun("bacterial_vs_viral", "blurred"),
}
get_config = getter(RUNS, __file__)
