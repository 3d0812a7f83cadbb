"""Run directories: claimed by one config, written whole or not at all."""

import dataclasses
import itertools
import json

import pytest
from absl import logging

from jxr.config import BlurConfig, DataConfig, RestorerRun, WienerNetRun
from jxr.errors import UserError
from jxr.files import training_lock, write_json
from jxr.studies.workdir import Stages, claim, claimed, read_run


def test_a_directory_belongs_to_one_config(tmp_path):
    run = RestorerRun()
    claim(tmp_path / "run", run)
    claim(tmp_path / "run", run)
    changed = dataclasses.replace(run, seed=1, blur=BlurConfig(sigma=1.0))
    with pytest.raises(UserError, match=r"other values of blur\.sigma, seed"):
        claim(tmp_path / "run", changed)


def test_images_may_move_between_calls_and_the_new_place_is_kept(tmp_path):
    claim(tmp_path, RestorerRun(data=DataConfig(path="here")), data="abc")
    claim(tmp_path, RestorerRun(data=DataConfig(path="there")), data="abc")
    assert json.loads((tmp_path / "config.json").read_text())["data"]["path"] == "there"


def test_a_directory_from_before_a_key_counts_as_its_default(tmp_path):
    run = RestorerRun()
    # Gradients were not clipped before there was the key, so that is how the older run was made.
    schedule = dataclasses.replace(run.unet.schedule, clip_norm=0.0)
    run = dataclasses.replace(run, unet=dataclasses.replace(run.unet, schedule=schedule))
    claim(tmp_path, run, data="abc")
    path = tmp_path / "config.json"
    older = json.loads(path.read_text())
    for key in ("accumulate", "precision", "clip_norm"):
        del older["unet"]["schedule"][key]
    del older["unet"]["remat"]
    path.write_text(json.dumps(older))
    rounded = dataclasses.replace(schedule, precision="bfloat16", clip_norm=1.0)
    changed = dataclasses.replace(run, unet=dataclasses.replace(run.unet, schedule=rounded))
    names = r"other values of unet\.schedule\.clip_norm, unet\.schedule\.precision: "
    with pytest.raises(UserError, match=names):
        claim(tmp_path, changed, data="abc")
    claim(tmp_path, run, data="abc")
    assert json.loads(path.read_text())["unet"]["schedule"]["accumulate"] == 1


def test_another_command_s_run_is_refused_whatever_changes_are_accepted(tmp_path):
    claim(tmp_path, RestorerRun(), data="abc")
    before = (tmp_path / "config.json").read_text()
    for accept_changes in (False, True):
        with pytest.raises(UserError, match="holds another command's run"):
            claim(tmp_path, WienerNetRun(), accept_changes, data="abc")
    assert (tmp_path / "config.json").read_text() == before


def test_how_memory_is_saved_may_change_between_calls(tmp_path):
    run = RestorerRun()
    claim(tmp_path, run)
    schedule = dataclasses.replace(run.unet.schedule, accumulate=4)
    unet = dataclasses.replace(run.unet, schedule=schedule, remat=True)
    claim(tmp_path, dataclasses.replace(run, unet=unet))
    assert json.loads((tmp_path / "config.json").read_text())["unet"]["remat"]


def test_other_images_are_refused(tmp_path):
    claim(tmp_path, RestorerRun(), data="abc")
    with pytest.raises(UserError, match=r"other values of fingerprints\.data"):
        claim(tmp_path, RestorerRun(), data="xyz")


def test_changes_that_are_accepted_are_logged_and_noted(tmp_path, caplog):
    run = RestorerRun(blur=BlurConfig(sigma=1.0))
    claim(tmp_path, run, data="abc")
    changed = dataclasses.replace(run, blur=BlurConfig(sigma=1.5), seed=7)
    claim(tmp_path, changed, True, data="abc")
    assert "blur.sigma is 1.5 now, was 1.0" in caplog.text
    assert "seed is 7 now, was 0" in caplog.text
    claim(tmp_path, changed, data="abc")  # it is the run's config from now on
    with pytest.raises(UserError, match=r"other values of blur\.sigma, seed"):
        claim(tmp_path, run, data="abc")


def test_what_a_first_call_died_of_can_be_corrected(tmp_path):
    died, corrected = RestorerRun(blur=BlurConfig(noise=1e30)), RestorerRun()
    with pytest.raises(UserError, match="inf"), claimed(tmp_path, died, False, data="abc"):
        raise UserError("the loss is inf")
    with claimed(tmp_path, corrected, False, data="abc"):
        (tmp_path / "checkpoints" / "3").mkdir(parents=True)
    with (
        pytest.raises(UserError, match=r"other values of blur\.noise"),
        claimed(tmp_path, died, False, data="abc"),
    ):
        pass


def test_other_images_or_another_split_are_refused_all_the_same(tmp_path):
    run = RestorerRun()
    claim(tmp_path, run, data="abc")
    other = dataclasses.replace(run, seed=1, data=DataConfig(validation_fraction=0.5))
    before = (tmp_path / "config.json").read_text()
    with pytest.raises(UserError, match=r"; data\.validation_fraction cannot be changed"):
        claim(tmp_path, other, True, data="abc")
    with pytest.raises(UserError, match=r"; fingerprints\.data cannot be changed"):
        claim(tmp_path, run, True, data="xyz")
    assert (tmp_path / "config.json").read_text() == before


def test_no_change_is_accepted_while_a_run_is_training(tmp_path):
    claim(tmp_path, RestorerRun())
    before = (tmp_path / "config.json").read_text()
    with training_lock(tmp_path), pytest.raises(UserError, match="another run is training here"):
        claim(tmp_path, RestorerRun(seed=1), True)
    assert (tmp_path / "config.json").read_text() == before


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        claim(tmp_path / "file" / "run", RestorerRun())


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "3"])
def test_a_damaged_config_is_named(content, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(content)
    for use in (read_run, lambda folder: claim(folder, RestorerRun())):
        with pytest.raises(UserError, match=r"config\.json: damaged"):
            use(tmp_path)
    assert path.read_text() == content


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "results.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}


def test_stages_are_done_once_and_their_time_adds_up_and_is_said(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(logging, "info", lambda text, *values: said.append(text % values))
    monkeypatch.setattr("time.monotonic", itertools.count(0.0, 1.5).__next__)
    monkeypatch.setattr("jxr.studies.workdir.git_commit", lambda: "abc")
    calls = []

    def work():
        calls.append(1)
        return {"rows": [1, 2]}

    assert Stages(tmp_path).run("a/b", work) == {"rows": [1, 2]}
    assert Stages(tmp_path).run("a/b", work) == {"rows": [1, 2]}
    assert len(calls) == 1
    assert set(Stages(tmp_path).seconds()) == {"a/b"}
    assert Stages(tmp_path).commits() == {"a/b": "abc"}
    assert said == ["stage a/b", "a/b: 1.5 s", "stage a/b: done before"]
    with Stages(tmp_path).timed("a/b"):
        pass
    assert Stages(tmp_path).seconds() == {"a/b": 3.0}


def test_an_interrupted_stage_is_not_done_but_its_time_counts(tmp_path):
    stages = Stages(tmp_path)

    def fails():
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stages.run("a", fails)
    assert "a" in stages.seconds()
    assert stages.run("a", lambda: 3) == 3
