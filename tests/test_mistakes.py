"""Every mistake that a user can make ends in one line that names the remedy, and status 2."""

import re
import shutil

import pytest

from jxr.config import RestorerRun
from jxr.errors import UserError
from tests.commands import ROOT, TINY, call, configured, restorer_call, the_error, train_by_flags


def test_missing_folder(tmp_path):
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "none"))):
        train_by_flags(tmp_path, f"--config.data.path={tmp_path / 'none'}")


def test_no_folder_given(tmp_path):
    with pytest.raises(UserError, match=r"--config\.data\.path"):
        train_by_flags(tmp_path)


def test_unknown_key(tmp_path):
    line = the_error(restorer_call(tmp_path, "--config.blur.sigm=2"))
    assert line.startswith("error: unknown config key 'sigm': Did you mean \"sigma\"")
    line = the_error(restorer_call(tmp_path, "--config.nothing_like_it=2"))
    assert line == "error: unknown config key 'nothing_like_it': jxr/config has them all"


def test_one_entry_of_a_tuple(tmp_path):
    place = "--config=ml_collections_configs/reproduce.py:demo", f"--workdir={tmp_path}"
    assert "sigmas[0]" in the_error(call("reproduce", *place, "--config.sigmas[0]=3.0"))


def test_config_of_another_command():
    with pytest.raises(UserError, match=r"key 'head': give one of .* another command's config"):
        configured(
            RestorerRun,
            f"--config={ROOT}/ml_collections_configs/classifier.py:normal_vs_pneumonia-original",
        )


def test_wrong_type(tmp_path):
    assert "sigma" in the_error(restorer_call(tmp_path, "--config.blur.sigma=two"))


def test_impossible_sigma(tmp_path):
    with pytest.raises(UserError, match=r"blur\.sigma is -1\.0"):
        train_by_flags(tmp_path, "--config.blur.sigma=-1")


def test_sigma_that_is_too_large_for_the_image(tiny_images, tmp_path):
    data = f"--config.data.path={tiny_images}"
    with pytest.raises(UserError, match=r"blur\.sigma 60 needs a kernel of radius 240"):
        train_by_flags(tmp_path, data, "--config.blur.sigma=60")


def test_batch_that_is_larger_than_the_training_set(tiny_images, tmp_path):
    data = f"--config.data.path={tiny_images}"
    large = "--config.unet.schedule.batch_size=1000"
    with pytest.raises(UserError, match="not one step"):
        train_by_flags(tmp_path, data, *TINY, large)


def test_cache_that_is_a_file(tiny_images, tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "cache"))):
        train_by_flags(tmp_path, f"--config.data.path={tiny_images}", *TINY)


def test_unknown_config_name(tmp_path):
    config = "--config=ml_collections_configs/restorer.py:tpu"
    line = the_error(call("train_restorer", config, f"--workdir={tmp_path}"))
    assert "give one of cpu, full" in line


def test_config_file_that_is_not_there(tmp_path):
    line = the_error(call("train_restorer", "--config=none.py", f"--workdir={tmp_path}"))
    assert "none.py" in line


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def get_config(:", r"SyntaxError: .* \(own\.py, line 1\)"),
        ("def get_config():\n  return sigma", r"own\.py, line 2: NameError: name 'sigma' is not"),
        ("def get_config():\n  return {}['cpu']", r"own\.py, line 2: there is no 'cpu'"),
        ("from jxr.config import RestorerRun as get_config", "of type RestorerRun: give the keys"),
    ],
)
def test_mistakes_in_an_own_config_file(tmp_path, code, message):
    (tmp_path / "own.py").write_text(code)
    own = f"--config={tmp_path / 'own.py'}"
    assert re.search(message, the_error(call("train_restorer", own, f"--workdir={tmp_path}")))


def test_no_config_and_no_workdir():
    with pytest.raises(UserError, match="give --config"):
        configured(RestorerRun)
    assert "workdir" in the_error(call("train_restorer"))


def test_stray_argument(tmp_path):
    assert "unknown argument 'fast'" in the_error(restorer_call(tmp_path, "fast"))


def test_evaluate_without_a_run(tmp_path):
    assert "train first" in the_error(call("evaluate", f"--workdir={tmp_path}"))


def test_truncated_image_is_named_and_earlier_results_stay(tiny_images, tmp_path):
    images = tmp_path / "images"
    shutil.copytree(tiny_images, images)
    broken = images / "train" / "NORMAL" / "IM-0001-0001.jpeg"
    broken.write_bytes(broken.read_bytes()[:200])
    results = tmp_path / "run" / "validation.json"
    results.parent.mkdir()
    results.write_text("{}")
    with pytest.raises(UserError, match=r"IM-0001-0001\.jpeg"):
        train_by_flags(tmp_path, f"--config.data.path={images}", *TINY)
    assert results.read_text() == "{}"


def test_wrong_weights_file(tiny_images, tmp_path):
    weights = tmp_path / "weights.h5"
    weights.write_text("no HDF5")
    finished = call(
        "train_classifier",
        "--config=ml_collections_configs/classifier.py:normal_vs_pneumonia-original",
        f"--workdir={tmp_path / 'run'}",
        f"--cache={tmp_path / 'cache'}",
        f"--config.data.path={tiny_images}",
        "--config.data.size=32",
        f"--config.weights.path={weights}",
    )
    assert str(weights) in the_error(finished)
