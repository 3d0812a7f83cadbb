import functools
import re
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from jxr.data.phantom_anatomy import Parts, ellipse, parts, pipe, rod
from jxr.data.phantom_lungs import waves
from jxr.data.phantoms import (
    BONE,
    LUNG,
    SOFT,
    VERSION,
    coordinates,
    develop,
    draw_chest,
    line_integral,
    phantom,
    phantom_set,
)
from jxr.data.records import LABELS, count_table
from jxr.errors import UserError
from jxr.models import vgg16
from jxr.rng import stream
from jxr.studies import features as studies_features

KEYS = [jax.random.key(i) for i in range(6)]


@pytest.fixture(scope="module")
def batch():
    """240 phantoms of all labels in turn, 30 at a time, with their keys and labels."""
    labels = np.arange(240) % 3
    keys = jax.random.split(jax.random.key(7), 240)
    draw = jax.jit(jax.vmap(functools.partial(phantom, size=32)))
    images = [draw(keys[i : i + 30], labels[i : i + 30]) for i in range(0, 240, 30)]
    return keys, labels, np.concatenate(images)


@functools.partial(jax.jit, static_argnames="size")
def anatomy(key, *, size):
    """Each pixel's x and y in the chest, and the parts there."""
    chest = draw_chest(key)
    _, x, y = coordinates(chest, size)
    return x, y, parts(chest, x, y)


@pytest.mark.parametrize("size", [32, 65])
@pytest.mark.parametrize("label", [0, 1, 2])
def test_is_an_image_in_unit_range(size, label):
    image = phantom(KEYS[0], label, size=size)
    assert image.shape == (size, size, 1)
    assert image.dtype == jnp.float32
    assert 0 <= image.min() < 0.1  # the air beside the body
    assert 0.7 < image.max() <= 1


def test_the_same_key_and_label_give_the_same_image_and_others_another():
    image = np.asarray(phantom(KEYS[1], 1, size=32))
    np.testing.assert_array_equal(image, phantom(KEYS[1], jnp.asarray(1), size=32))
    for key, label in ((KEYS[2], 1), (KEYS[1], 0), (KEYS[1], 2)):
        assert np.abs(image - phantom(key, label, size=32)).max() > 0.02


def test_vmap_and_jit_give_the_same_images(batch):
    for key, label, image in zip(*(part[:3] for part in batch), strict=True):
        np.testing.assert_allclose(image, phantom(key, label, size=32), atol=2e-4)


@pytest.mark.parametrize("label", [0, 1, 2])
def test_another_size_shows_the_same_chest(label):
    for key in KEYS[:4]:
        large = np.asarray(phantom(key, label, size=96)).reshape(32, 3, 32, 3).mean((1, 3))
        small = np.asarray(phantom(key, label, size=32))[..., 0]
        stranger = np.asarray(phantom(KEYS[5], label, size=32))[..., 0]
        same = np.corrcoef(large.ravel(), small.ravel())[0, 1]
        assert same > 0.98
        assert same > np.corrcoef(large.ravel(), stranger.ravel())[0, 1] + 0.01


def chord_by_counting(inside, x, y, depth):
    """Length of the ray through (x, y) inside a solid, by many points along it."""
    z = np.linspace(-depth, depth, 200_001)
    return inside(x, y, z).mean() * 2 * depth


@pytest.mark.parametrize("point", [(0.3, -0.2), (1.4, 0.9), (-2.0, 0.4), (3.5, 3.5)])
def test_chords_are_line_integrals(point):
    at = [jnp.full((1, 1), value) for value in point]
    tilt, radii = 0.7, (2.8, 1.5, 1.9)

    def in_ellipsoid(x, y, z):
        turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
        u, v = turn @ [x, y]
        return (u / radii[0]) ** 2 + (v / radii[1]) ** 2 + (z / radii[2]) ** 2 < 1

    start, end = np.array([-3.0, -1.0]), np.array([2.0, 1.5])

    def in_rod(x, y, z):
        along = np.clip(((x, y) - start) @ (end - start) / np.sum((end - start) ** 2), 0, 1)
        return np.sum(((x, y) - start - along * (end - start)) ** 2) + z**2 < 1.3**2

    def in_wall(x, y, z):  # of a tube along y
        return (x**2 + z**2 < 1.5**2) & (x**2 + z**2 > 1.1**2)

    for chord, inside in (
        (ellipse(*at, radii, tilt), in_ellipsoid),
        (rod(*at, tuple(start), tuple(end), 1.3), in_rod),
        (pipe(at[0] ** 2, 1.5, 0.4), in_wall),
    ):
        assert chord.item() == pytest.approx(chord_by_counting(inside, *point, 3.0), abs=1e-3)


def test_what_passes_follows_beer_and_lambert():
    # 14 cm of body, of which 9 cm are lung, 1 cm gas and 0.5 cm bone; 2 cm of the lung filled.
    cm = [jnp.full((1, 1), value) for value in (14.0, 9.0, 1.0, 0.5)]
    passed = jnp.exp(-line_integral(Parts(*cm), 2.0, 2.0))
    slabs = np.exp([-SOFT * (3.5 + 2), -LUNG * (9 - 2), -BONE * 0.5])
    assert passed.item() == pytest.approx(np.prod(slabs), rel=1e-5)
    # The film is middle grey at its centre and blacker the more light there is.
    assert develop(jnp.exp(jnp.full((1, 1), -2.5)), 2.5, 0.7).item() == pytest.approx(0.5)
    assert develop(jnp.full((1, 1), 1.0), 2.5, 0.7) < 0.05


def test_waves_have_unit_variance_and_stay_in_their_band():
    size, pixel, band = 256, 0.1, (0.5, 1.0)
    axis = jnp.arange(size) * pixel
    fields = [np.asarray(waves(key, axis, pixel, band, 128)) for key in KEYS]
    # Averaging over pixels takes up to sinc(0.1) of an amplitude away.
    assert np.mean(np.square(fields)) == pytest.approx(1, abs=0.1)
    window = np.hanning(size)[:, None] * np.hanning(size)
    power = sum(np.abs(np.fft.fft2(window * field)) ** 2 for field in fields)
    frequency = np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(size, pixel)]))
    inside = (frequency > band[0] - 0.1) & (frequency < band[1] + 0.1)
    assert power[inside].sum() > 0.99 * power.sum()


def test_the_heart_is_on_the_right_of_the_viewer():
    brighter = []
    for key in KEYS:
        image = np.asarray(phantom(key, 0, size=96))[..., 0]
        x, y, _ = anatomy(key, size=96)
        level = (y > 0.5) & (y < 3.5)
        right, left = (level & (sign * x > 2.5) & (sign * x < 5) for sign in (1, -1))
        brighter.append(image[np.asarray(right)].mean() - image[np.asarray(left)].mean())
    assert np.mean(brighter) > 0.1
    assert min(brighter) > 0


def test_bones_are_bright_lungs_dark_and_air_black():
    for key in KEYS:
        image = np.asarray(phantom(key, 0, size=96))[..., 0]
        x, y, whole = anatomy(key, size=96)
        lung = image[np.asarray(whole.lung > 0.8 * whole.lung.max())].mean()
        spine = image[np.asarray((jnp.abs(x) < 0.7) & (jnp.abs(y) < 4))].mean()
        air = image[np.asarray(whole.body == 0)]
        assert air.mean() < 0.1 < lung < spine - 0.2


@pytest.mark.parametrize("label", [1, 2])
def test_disease_is_inside_the_lungs(label):
    for key in KEYS:
        change = np.asarray(phantom(key, label, size=96) - phantom(key, 0, size=96))[..., 0]
        x, _, whole = anatomy(key, size=96)
        lung = np.asarray(whole.lung > 0)
        assert np.abs(change[~lung]).max() == pytest.approx(0, abs=1e-6)
        sides = [np.abs(change[lung & half]).mean() for half in (x < 0, x > 0)]
        if label == 1:  # opaque: brighter on the whole
            assert change[lung].mean() > 0.003
        else:  # on both sides
            assert min(sides) > 0.003


def test_mean_brightness_tells_little(batch):
    _, labels, images = batch
    means = images.mean((1, 2, 3))
    for sick, well in ((labels > 0, labels == 0), (labels == 2, labels == 1)):
        u = mannwhitneyu(means[sick], means[well]).statistic
        assert 0.35 < u / (sick.sum() * well.sum()) < 0.65


def test_set_has_three_balanced_classes_and_reproduces():
    images = phantom_set(train=31, test=20, seed=3, size=32)
    table = count_table(images.records)
    assert table["train"] == {"normal": 11, "bacteria": 10, "virus": 10}
    assert table["test"] == {"normal": 7, "bacteria": 7, "virus": 6}
    assert list(images.records) == sorted(images.records)
    assert len({record.patient for record in images.records}) == 51
    assert any("synthetic" in note for note in images.notes)
    for record in images.records:
        assert re.fullmatch(rf"{record.split}/{record.label}/phantom\d{{5}}\.png", record.path)

    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(images.read, range(51)))
    again = phantom_set(train=31, test=20, seed=3, size=32)
    for row in (0, 25, 50):
        np.testing.assert_array_equal(read[row], again.read(row))
    assert read[0].dtype == np.float32
    assert read[0].shape == (32, 32, 1)


def test_train_and_test_share_no_image_and_larger_sets_begin_alike():
    small = phantom_set(train=18, test=18, seed=0, size=32)
    large = phantom_set(train=36, test=18, seed=0, size=32)

    def by_path(images):
        return {record.path: images.read(row) for row, record in enumerate(images.records)}

    first, second = by_path(small), by_path(large)
    for path, image in first.items():
        np.testing.assert_array_equal(image, second[path])
    # Of any two of all images (also of the same index in both splits) the chests differ.
    flat = np.stack(list(second.values())).reshape(54, -1)
    distance = np.abs(flat[:, None] - flat).mean(-1)
    assert distance[~np.eye(54, dtype=bool)].min() > 0.01


def test_labels_of_a_set_are_those_of_its_images():
    """The image of a record is the phantom of its label, split and number."""
    images = phantom_set(train=18, test=18, seed=5, size=32)
    for row, record in enumerate(images.records):
        i = int(record.path[-9:-4])
        key = jax.random.fold_in(stream(jax.random.key(5), f"phantoms {record.split}"), i)
        expected = phantom(key, LABELS.index(record.label), size=32)
        np.testing.assert_array_equal(images.read(row), expected)


def test_fingerprint_covers_everything_that_changes_images(monkeypatch):
    arguments = {"train": 18, "test": 19, "seed": 0, "size": 32}
    base = phantom_set(**arguments).fingerprint
    assert re.fullmatch("[0-9a-f]{64}", base)
    assert phantom_set(**arguments).fingerprint == base
    for name in arguments:
        assert phantom_set(**arguments | {name: arguments[name] + 1}).fingerprint != base
    monkeypatch.setattr("jxr.data.phantoms.VERSION", VERSION + 1)
    assert phantom_set(**arguments).fingerprint != base


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"train": 17}, "data.phantoms.train"),
        ({"test": 0}, "data.phantoms.test"),
        ({"size": 31}, "at least 32"),
    ],
)
def test_impossible_sets_are_refused(change, says):
    with pytest.raises(UserError, match=says):
        phantom_set(**{"train": 18, "test": 18, "seed": 0, "size": 32} | change)


def test_too_small_a_phantom_is_refused():
    with pytest.raises(ValueError, match="at least 32"):
        phantom(KEYS[0], 0, size=16)


def auc_of_linear_model(features, sick, train):
    """AUC on the rows after `train` of a logistic regression, at its best penalty."""
    mean, deviation = features[:train].mean(0), features[:train].std(0) + 1e-6
    scaled = (features - mean) / deviation
    # Only the span of the training rows matters to a model with an L2 penalty.
    scaled = scaled @ np.linalg.svd(scaled[:train], full_matrices=False)[2].T
    scaled *= 10 / np.sqrt(features.shape[1])
    aucs = []
    for c in 10.0 ** np.arange(-4, 3):
        model = LogisticRegression(C=c, max_iter=3000).fit(scaled[:train], sick[:train])
        aucs.append(roc_auc_score(sick[train:], model.decision_function(scaled[train:])))
    return max(aucs)


def test_random_network_beats_a_linear_model_of_pixels():
    """Bacterial or viral: what a pattern is made of counts, not where it is bright."""
    train, total, size = 120, 200, 96
    labels = 1 + np.arange(total) % 2
    keys = jax.random.split(jax.random.key(11), total)
    images = np.stack([phantom(k, int(i), size=size) for k, i in zip(keys, labels, strict=True)])

    params = studies_features.random_weights(jax.random.key(0))  # drawn once for all tests
    extract = jax.jit(lambda x: vgg16.extract(vgg16.graphdef(), params, x, "caffe"))
    features = np.concatenate([extract(images[i : i + 20]) for i in range(0, total, 20)])
    pixels = images.reshape(total, size // 2, 2, size // 2, 2).mean((2, 4)).reshape(total, -1)

    network = auc_of_linear_model(features, labels == 2, train)
    linear = auc_of_linear_model(pixels, labels == 2, train)
    assert network > 0.8
    assert linear < network - 0.1
