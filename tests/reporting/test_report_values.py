"""The report's numbers stand only beside rows that ran the same thing."""

import pytest

from jxr.reporting import published_accuracy, published_mse
from tests.reporting.fake_results import classification_row, restoration_row


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0.8750),
        ({"sigma": None, "noise": None, "convention": None}, 0.8750),
        ({"task": "bacterial_vs_viral"}, 0.9120),
        ({"train_on": "blurred", "test_on": "blurred"}, 0.8702),
        ({"train_on": "blurred", "test_on": "blurred", "convention": "report"}, 0.8702),
        ({"task": "bacterial_vs_viral", "train_on": "blurred", "test_on": "blurred"}, 0.8974),
        ({"test_on": "blurred"}, 0.74),
        ({"test_on": "recovered", "restorer": "unet"}, 0.8670),
        ({"test_on": "recovered", "restorer": "wiener"}, None),
        ({"test_on": "blurred", "sigma": 1.0}, None),
        ({"test_on": "blurred", "noise": 0.01}, None),
        ({"test_on": "blurred", "input_precision": "8bit"}, None),
        ({"train_on": "blurred"}, None),
        ({"task": "bacterial_vs_viral", "test_on": "blurred"}, None),
    ],
)
def test_accuracy(changes, expected):
    assert published_accuracy(classification_row(**changes)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 1.1102e-4),
        ({"sigma": 1.0, "convention": "report"}, 2.447e-5),
        ({"sigma": 1.5}, None),
        ({"method": "wiener"}, None),
        ({"noise": 0.01}, None),
        ({"input_precision": "8bit"}, None),
        ({"psf": "disk", "sigma": None}, None),
    ],
)
def test_mse(changes, expected):
    assert published_mse(restoration_row(**changes)) == expected
