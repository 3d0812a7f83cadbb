"""Strict configs: what is right passes unchanged, what is wrong is named."""

import dataclasses
import importlib
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from jxr.config import (
    BlurConfig,
    ClassificationConfig,
    ClassifierRun,
    ReproduceConfig,
    RestorationTableConfig,
    RestorerRun,
    RestorerStudyConfig,
    ScheduleConfig,
    UNetConfig,
    WeightsConfig,
    WienerNetRun,
)
from jxr.config_dict import completed, from_config_dict, to_config_dict
from jxr.errors import UserError

FOLDER = Path(__file__).resolve().parents[1] / "ml_collections_configs"
CONFIGS = sorted(file.stem for file in FOLDER.glob("[a-z]*.py"))


@pytest.mark.parametrize(
    "kind", [ClassifierRun, RestorerRun, ReproduceConfig, WienerNetRun, RestorerStudyConfig]
)
def test_defaults_survive_the_way_to_the_command_line_and_back(kind):
    assert from_config_dict(kind, to_config_dict(kind())) == kind()


@pytest.mark.parametrize("file", CONFIGS)
def test_every_config_file_is_read_back(file):
    module = importlib.import_module(f"ml_collections_configs.{file}")
    for name, run in module.RUNS.items():
        assert from_config_dict(type(run), module.get_config(name)) == run
    first, *_ = module.RUNS
    assert module.get_config() == module.get_config(first)
    with pytest.raises(UserError, match=rf"^no config 'x' in {file}\.py: give one of {first}"):
        module.get_config("x")


def test_changed_values_arrive_with_their_types():
    values = to_config_dict(ReproduceConfig())
    values.seeds = (3, 4, 5)
    values.unet.schedule.learning_rate = 1e-4
    values.head.hidden = (4096, 4096)
    config = from_config_dict(ReproduceConfig, values)
    assert config.seeds == (3, 4, 5)
    assert config.unet.schedule.learning_rate == 1e-4
    assert config.head.hidden == (4096, 4096)


def test_whole_numbers_serve_as_floats_but_not_the_other_way():
    assert from_config_dict(BlurConfig, {**dataclasses.asdict(BlurConfig()), "sigma": 1}) == (
        BlurConfig(sigma=1.0)
    )
    values = to_config_dict(RestorerRun()).to_dict()
    values["seed"] = 1.5
    with pytest.raises(UserError, match=r"'seed' is 1.5: give a value of type int"):
        from_config_dict(RestorerRun, values)


def test_unknown_key_names_the_nearest_right_one():
    values = ConfigDict(to_config_dict(RestorerRun()).to_dict())
    values.blur.sigm = 2.0
    with pytest.raises(
        UserError, match=r"unknown config key 'blur.sigm': did you mean 'blur.sigma'"
    ):
        from_config_dict(RestorerRun, values)


def test_a_config_from_before_a_key_is_completed_by_what_was_done_then():
    config = RestorerRun(unet=UNetConfig(schedule=ScheduleConfig(epochs=7)))
    values = dataclasses.asdict(config)
    del values["unet"]["schedule"]["accumulate"], values["unet"]["remat"], values["seed"]
    assert from_config_dict(RestorerRun, completed(RestorerRun, values)) == config
    del values["unet"]
    with pytest.raises(UserError, match="'unet' is missing"):
        from_config_dict(RestorerRun, completed(RestorerRun, values))


def test_missing_key_is_named():
    values = to_config_dict(RestorerRun()).to_dict()
    del values["unet"]["depth"]
    with pytest.raises(UserError, match=r"'unet.depth' is missing"):
        from_config_dict(RestorerRun, values)


def test_a_value_in_a_section_s_place_is_named():
    values = {**to_config_dict(RestorerRun()).to_dict(), "data": 3}
    with pytest.raises(UserError, match="'data' is of type int: give the keys of DataConfig"):
        from_config_dict(RestorerRun, values)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("sigma", -1.0, r"blur.sigma is -1.0"),
        ("sigma", float("nan"), r"blur.sigma is nan"),
        ("sigma", float("inf"), r"blur.sigma is inf"),
        ("sigma", "two", r"'blur.sigma' is 'two': give a value of type float"),
        ("sigma", True, r"'blur.sigma' is True: give a value of type float"),
        ("noise", -0.1, r"blur.noise is -0.1"),
        ("convention", "mine", r"'blur.convention' is 'mine': give one of standard, report"),
        ("boundary", "same", r"'blur.boundary' is 'same': give one of reflect, zero"),
    ],
)
def test_wrong_blur_is_refused(key, value, message):
    values = to_config_dict(RestorerRun()).to_dict()
    values["blur"][key] = value
    with pytest.raises(UserError, match=message):
        from_config_dict(RestorerRun, values)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("data", "size", 100),
        ("data", "validation_fraction", 1.0),
        ("head", "dropout", 1.0),
        ("head", "hidden", (0,)),
        ("head", "hidden", (10**20,)),
        ("unet", "width", 10**20),
        ("unet", "depth", 0),
        ("unet", "crop", 24),
    ],
)
def test_impossible_values_name_their_key(section, key, value):
    values = to_config_dict(ReproduceConfig()).to_dict()
    values[section][key] = value
    with pytest.raises(UserError, match=rf"{section}\.({key}|width and unet.depth)"):
        from_config_dict(ReproduceConfig, values)


@pytest.mark.parametrize("channels", [True, 1.0, 2])
def test_one_of_some_numbers_is_of_their_type(channels):
    values = to_config_dict(RestorerRun()).to_dict()
    values["unet"]["channels"] = channels
    with pytest.raises(UserError, match=rf"'unet.channels' is '{channels}': give one of 1, 3"):
        from_config_dict(RestorerRun, values)


def test_a_blur_of_views_that_is_too_large_for_them_is_refused():
    values = to_config_dict(ClassificationConfig()).to_dict()
    values["tuned"]["augmentation"]["max_sigma"] = 33.0
    with pytest.raises(UserError, match=r"tuned.augmentation.max_sigma is 33.0: give .* up to 32"):
        from_config_dict(ClassificationConfig, values)


@pytest.mark.parametrize(
    "key", ["epochs", "batch_size", "accumulate", "log_every", "checkpoint_every"]
)
def test_impossible_schedules_are_refused(key):
    values = to_config_dict(RestorerRun()).to_dict()
    values["unet"]["schedule"][key] = 0
    with pytest.raises(UserError, match=f"schedule.{key} is 0"):
        from_config_dict(RestorerRun, values)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("net", "width", 0),
        ("net", "crop", -1),
        ("degradations", "max_sigma", 0.0),
        ("degradations", "max_noise", 2.0),
        ("degradations", "width_error", float("nan")),
    ],
)
def test_impossible_restorers_for_all_blurs_are_refused(section, key, value):
    values = to_config_dict(WienerNetRun()).to_dict()
    values[section][key] = value
    with pytest.raises(UserError, match=rf"{section}\.{key}"):
        from_config_dict(WienerNetRun, values)


@pytest.mark.parametrize(
    ("key", "value"),
    [("clip_norm", -1.0), ("decay", "linear"), ("accumulate", 3), ("precision", "float16")],
)
def test_impossible_optimisers_are_refused(key, value):
    values = to_config_dict(RestorerRun()).to_dict()
    values["unet"]["schedule"][key] = value
    with pytest.raises(UserError, match=rf"schedule\.{key}"):
        from_config_dict(RestorerRun, values)


def test_classification_blur_needs_a_restorer_of_its_own():
    with pytest.raises(UserError, match="add it, so that a restorer for it is trained"):
        ReproduceConfig(sigmas=(1.0,))


@pytest.mark.parametrize("sigmas", [(1.0, 1.0), (-1.0,), (float("nan"),)])
def test_impossible_sigmas_of_the_sweep_are_refused(sigmas):
    with pytest.raises(UserError, match="sigma"):
        ReproduceConfig(sweep_sigmas=sigmas)


@pytest.mark.parametrize("kind", [ReproduceConfig, RestorationTableConfig, RestorerStudyConfig])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sigmas", ()),
        ("sigmas", (2.0, 2.0)),
        ("sigmas", (2.0, -1.0)),
        ("conventions", ()),
        ("conventions", ("standard", "standard")),
    ],
)
def test_settings_of_which_no_table_can_be_made_are_refused(kind, key, value):
    with pytest.raises(UserError, match=r"(sigmas|conventions|blur\.sigma) is"):
        kind(**{key: value})


def test_weights_of_two_seeds_are_never_the_same():
    """JAX would take 2^32 for 0, and fails on larger ones."""
    for seed in (-1, 2**32):
        with pytest.raises(UserError, match=f"seed is {seed}"):
            WeightsConfig(seed=seed)


@pytest.mark.parametrize("seeds", [(), (0, 0), (-1,), (2**32,)])
def test_impossible_seeds_are_refused(seeds):
    with pytest.raises(UserError, match="seed"):
        ReproduceConfig(seeds=seeds)


@pytest.mark.parametrize("kind", [ClassifierRun, RestorerRun])
def test_negative_seed_of_a_single_run_is_refused(kind):
    with pytest.raises(UserError, match="seed is -1"):
        kind(seed=-1)


def test_every_restoration_setting_is_listed_once():
    settings = [(blur.sigma, blur.convention) for blur in ReproduceConfig().restoration_blurs()]
    assert settings == [(1.0, "standard"), (1.0, "report"), (2.0, "standard"), (2.0, "report")]
