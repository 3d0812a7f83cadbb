"""Typed configs: frozen dataclasses whose values are checked as they are made.

`jxr.config_dict` brings them to the command line and back.
"""

from jxr.config.checks import check_seed
from jxr.config.images import BlurConfig, DataConfig, PhantomConfig, WeightsConfig
from jxr.config.models import (
    AugmentationConfig,
    DegradationRange,
    FineTuningConfig,
    HeadConfig,
    ScheduleConfig,
    UNetConfig,
    WienerNetConfig,
)
from jxr.config.runs import ClassifierRun, ReproduceConfig, RestorerRun, WienerNetRun
from jxr.config.studies import (
    AdaptationConfig,
    BlurEffectConfig,
    ClassificationConfig,
    ControlsConfig,
    FieldConfig,
    RestorationTableConfig,
    RestorerConfig,
    RestorerStudyConfig,
)
from jxr.config.sweeps import RestorerSweepConfig, SigmaSweepConfig

__all__ = [
    "AdaptationConfig",
    "AugmentationConfig",
    "BlurConfig",
    "BlurEffectConfig",
    "ClassificationConfig",
    "ClassifierRun",
    "ControlsConfig",
    "DataConfig",
    "DegradationRange",
    "FieldConfig",
    "FineTuningConfig",
    "HeadConfig",
    "PhantomConfig",
    "ReproduceConfig",
    "RestorationTableConfig",
    "RestorerConfig",
    "RestorerRun",
    "RestorerStudyConfig",
    "RestorerSweepConfig",
    "ScheduleConfig",
    "SigmaSweepConfig",
    "UNetConfig",
    "WeightsConfig",
    "WienerNetConfig",
    "WienerNetRun",
    "check_seed",
]
