"""The feature cache: right rows, right names, resumable."""

import dataclasses
import hashlib
import json
import shutil
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jxr.config import BlurConfig, WeightsConfig
from jxr.errors import UserError
from jxr.files import exclusive, require_space
from jxr.models import apply
from jxr.studies import features as module
from jxr.studies.dataset import Dataset
from jxr.studies.features import cached_features, dataset_features, load_backbone

IMAGES = np.random.default_rng(0).random((5, 32, 32, 1), np.float32)
SOURCE = {"images": "test"}


@pytest.fixture(scope="module")
def backbone():
    return load_backbone(WeightsConfig(kind="random"))


@pytest.fixture(autouse=True, scope="module")
def small_batches():
    """Two for five images, of which the second is not full."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BATCH", 3)
        yield


@pytest.fixture(scope="module")
def first(backbone, tmp_path_factory, small_batches):
    """A cache that holds the features of IMAGES."""
    folder = tmp_path_factory.mktemp("first")
    cached_features(backbone, IMAGES, folder, title="t", source=SOURCE)
    return folder


@pytest.fixture
def cache(first, tmp_path):
    """A copy of it for one test."""
    shutil.copytree(first, tmp_path, dirs_exist_ok=True)
    return tmp_path


maps_of = jax.jit(apply, static_argnums=0)


def expected(backbone, images):
    """By hand: the mean-subtracted BGR image through the convolutions, flattened by rows."""
    means = np.array([103.939, 116.779, 123.68], np.float32)
    prepared = jnp.asarray(np.repeat(images, 3, axis=-1) * 255 - means)
    maps = maps_of(backbone.graphdef, backbone.params, prepared)
    return np.asarray(maps).reshape(len(images), -1)


def test_every_image_has_the_features_of_itself(backbone, first):
    (path,) = first.glob("features-*.npy")
    found = np.load(path)
    assert found.shape == (5, 512)
    np.testing.assert_allclose(found, expected(backbone, IMAGES), rtol=1e-4, atol=1e-4)


def test_transform_is_applied_with_the_right_row(backbone, tmp_path):
    def darker(images, rows):
        return images / (1 + rows[:, None, None, None])

    found = cached_features(backbone, IMAGES, tmp_path, title="t", source=SOURCE, transform=darker)
    images = IMAGES / (1 + np.arange(5, dtype=np.float32)[:, None, None, None])
    np.testing.assert_allclose(found, expected(backbone, images), rtol=1e-4, atol=1e-4)


def test_kept_features_are_used_again(backbone, cache, monkeypatch):
    (path,) = cache.glob("features-*.npy")
    kept = np.load(path)

    def refuse(*_):
        raise AssertionError("features that are kept were computed again")

    monkeypatch.setattr(module, "extract_to", refuse)
    again = cached_features(backbone, IMAGES, cache, title="t", source=SOURCE)
    np.testing.assert_array_equal(kept, again)


def test_another_source_or_other_kernels_are_another_file(backbone, cache):
    cached_features(backbone, IMAGES, cache, title="t", source={"images": "other"})
    other = load_backbone(WeightsConfig(kind="random", seed=1))
    cached_features(other, IMAGES, cache, title="t", source=SOURCE)
    assert len(list(cache.glob("features-*.npy"))) == 3


@pytest.fixture
def names(tmp_path, monkeypatch):
    """Gives the names of the files in a cache where nothing is computed."""
    monkeypatch.setattr(
        module, "extract_to", lambda path, _, images, *__: np.save(path, np.zeros((len(images), 1)))
    )
    return lambda: {path.name for path in tmp_path.glob("features-*.npy")}


def test_whatever_features_depend_on_is_in_their_name(backbone, names, tmp_path):
    usual = {"backbone": backbone, "images": IMAGES, "source": SOURCE}
    for count, change in enumerate(
        (
            {},
            {"source": {"images": "other"}},
            {"images": IMAGES[:4]},
            {"half": True},
            {"backbone": backbone.up_to(4)},
            {"backbone": backbone.up_to(3)},
        ),
        start=1,
    ):
        cached_features(**usual | change, cache=tmp_path, title="t")
        assert len(names()) == count, change


def test_so_is_whatever_features_of_a_data_set_depend_on(backbone, names, tmp_path):
    dataset = Dataset((), IMAGES, *3 * [np.arange(0)], "abc", "bilinear")
    blur, noisy = BlurConfig(sigma=1.0), BlurConfig(sigma=1.0, noise=0.1)
    usual = {"dataset": dataset, "blur": None, "seed": 0}
    for count, change in enumerate(
        (
            {},
            {"dataset": dataclasses.replace(dataset, fingerprint="xyz")},
            {"dataset": dataclasses.replace(dataset, resize="lanczos")},
            {"blur": blur},
            {"blur": noisy},
            {"blur": noisy, "seed": 1},
        ),
        start=1,
    ):
        dataset_features(backbone, cache=tmp_path, **usual | change)
        assert len(names()) == count, change
    before = names()
    dataset_features(backbone, cache=tmp_path, **usual | {"blur": blur, "seed": 1})
    assert names() == before  # of noise only is it the seed


def test_the_convention_of_the_kernels_is_kept_to_and_has_a_file_of_its_own(backbone, cache):
    other = backbone._replace(convention="torchvision")
    found = cached_features(other, IMAGES, cache, title="t", source=SOURCE)
    prepared = (IMAGES - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    maps = maps_of(backbone.graphdef, backbone.params, jnp.asarray(prepared))
    np.testing.assert_allclose(found, np.asarray(maps).reshape(5, -1), rtol=1e-4, atol=1e-5)
    assert len(list(cache.glob("features-*.npy"))) == 2


def test_the_name_of_a_file_is_that_of_earlier_versions(backbone, first):
    """Caches hold hours of work: they must be found again."""
    (path,) = first.glob("features-*.npy")
    source = f'"images": "test", "platform": "{jax.default_backend()}", "shape": [5, 32, 32, 1]'
    text = f'{{{source}, "version": 1, "weights": "{backbone.fingerprint}"}}'
    assert path.stem == f"features-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def test_two_processes_do_not_write_one_file(backbone, cache):
    (path,) = cache.glob("features-*.npy")
    path.unlink()
    with (
        exclusive(path.with_suffix(".lock"), "the other", "--cache"),
        pytest.raises(UserError, match="another run is computing them"),
    ):
        cached_features(backbone, IMAGES, cache, title="t", source=SOURCE)
    cached_features(backbone, IMAGES, cache, title="t", source=SOURCE)


class Crash(Exception):
    pass


@pytest.fixture
def quick(monkeypatch):
    """In place of the network: an image's mean. Notes each batch; crashes at number `at`."""
    noted = SimpleNamespace(batches=0, at=None)

    def mean(graphdef, convention, half, params, images):
        if isinstance(images, jax.core.Tracer):  # of which only the shape is asked
            return images.mean(axis=(1, 2))
        noted.batches += 1
        if noted.batches == noted.at:
            raise Crash
        return images.mean(axis=(1, 2))

    monkeypatch.setattr(module, "_features", mean)
    return noted


def test_too_little_space_is_said_beforehand(backbone, quick, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"GB needed, .* GB free"):
        require_space(tmp_path, 10**18)
    free = SimpleNamespace(free=5 * 4 - 1)  # five float32
    monkeypatch.setattr("shutil.disk_usage", lambda _: free)
    with pytest.raises(UserError, match=r"GB needed, .* GB free"):
        cached_features(backbone, IMAGES, tmp_path, title="t", source=SOURCE)
    assert quick.batches == 0
    free.free += 1
    cached_features(backbone, IMAGES, tmp_path, title="t", source=SOURCE)


@pytest.mark.resume
def test_after_a_crash_it_goes_on_where_its_last_note_says(backbone, quick, tmp_path):
    images = np.random.default_rng(1).random((70, 32, 32, 1), np.float32)
    given = {"title": "t", "source": SOURCE}
    given["transform"] = lambda images, rows: images / (1 + rows[:, None, None, None])
    quick.at = 21  # a note is taken every twenty batches
    with pytest.raises(Crash):
        cached_features(backbone, images, tmp_path, **given)
    quick.batches, quick.at = 0, None
    found = cached_features(backbone, images, tmp_path, **given)
    assert quick.batches == 4  # for the last ten images
    expected = images.mean(axis=(1, 2), dtype=float) / (1 + np.arange(70))[:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.resume
def test_a_stopped_extraction_goes_on_and_keeps_what_it_had(backbone, cache):
    (path,) = cache.glob("features-*.npy")
    halfway = np.load(path)
    halfway[:2] = 7.0  # a mark that only rows which were kept still carry
    halfway[2:] = 0.0
    path.unlink()
    np.save(path.with_suffix(".partial.npy"), halfway)
    path.with_suffix(".partial.json").write_text(json.dumps({"rows": 2}))
    resumed = cached_features(backbone, IMAGES, cache, title="t", source=SOURCE)
    assert (resumed[:2] == 7.0).all()
    np.testing.assert_allclose(resumed[2:], expected(backbone, IMAGES)[2:], rtol=1e-4, atol=1e-4)
    assert not list(cache.glob("*.partial*"))


def test_random_weights_follow_their_seed():
    seeds = [load_backbone(WeightsConfig(kind="random", seed=seed)) for seed in (0, 0, 1)]
    assert seeds[0].fingerprint == seeds[1].fingerprint != seeds[2].fingerprint
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(seeds[0].params))
