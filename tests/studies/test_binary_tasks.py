"""Which rows a two-class question is about, for the report's classes and for own ones."""

import numpy as np
import pytest

from jxr.data import Record
from jxr.errors import UserError
from jxr.studies.binary_tasks import binary_task, default_tasks, examples


def records(*labels):
    return tuple(
        Record(path=f"train/X/{number}.jpeg", label=label, patient=str(number), split="train")
        for number, label in enumerate(labels)
    )


REPORT = records("normal", "bacteria", "virus", "virus", "normal")


def test_pneumonia_is_positive_whatever_the_organism():
    task = binary_task("normal_vs_pneumonia", REPORT)
    chosen = examples(task, REPORT, np.array([0, 2, 3, 1]))
    assert chosen.rows.tolist() == [0, 2, 3, 1]
    assert chosen.labels.tolist() == [0, 1, 1, 1]


def test_virus_is_positive_and_normal_left_out():
    chosen = examples(binary_task("bacterial_vs_viral", REPORT), REPORT, np.arange(5))
    assert chosen.rows.tolist() == [1, 2, 3]
    assert chosen.labels.tolist() == [0, 1, 1]
    assert chosen.patients.tolist() == ["1", "2", "3"]


def test_a_task_without_one_of_its_classes_is_refused():
    with pytest.raises(UserError, match="bacterial_vs_viral: one of the two classes"):
        examples(binary_task("bacterial_vs_viral", REPORT), REPORT, np.array([0, 2]))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("pneumonia", "normal"), ("normal_vs_pneumonia",)),
        (("covid", "Normal"), ("Normal_vs_covid",)),
        (("copd", "healthy"), ("healthy_vs_copd",)),
        (("covid", "negative"), ("negative_vs_covid",)),
        (("asthma", "control"), ("control_vs_asthma",)),
        (("b", "a"), ("a_vs_b",)),
        (("tb", "normal", "covid"), ("normal_vs_rest", "rest_vs_covid", "rest_vs_tb")),
        (("c", "b", "a"), ("rest_vs_a", "rest_vs_b", "rest_vs_c")),
    ],
)
def test_tasks_of_own_classes_have_the_healthy_class_on_the_negative_side(labels, expected):
    found = default_tasks(records(*labels, *labels))
    assert found == expected
    for name in found:
        task = binary_task(name, records(*labels))
        assert set(task.negative + task.positive) == set(labels)


def test_the_report_s_classes_have_the_report_s_tasks():
    assert default_tasks(REPORT) == ("normal_vs_pneumonia", "bacterial_vs_viral")


def test_two_classes_of_medmnist_have_the_report_s_task():
    found = binary_task("normal_vs_pneumonia", records("normal", "pneumonia"))
    assert (found.negative, found.positive) == (("normal",), ("pneumonia",))


def test_sides_may_join_classes_and_leave_others_out():
    found = binary_task("a_vs_b+c", records("a", "b", "c", "d"))
    assert (found.negative, found.positive) == (("a",), ("b", "c"))
    found = binary_task("rest_vs_c", records("a", "b", "c", "d"))
    assert (found.negative, found.positive) == (("a", "b", "d"), ("c",))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a", "give NEGATIVE_vs_POSITIVE"),
        ("a_vs_b_vs_c", "give NEGATIVE_vs_POSITIVE"),
        ("a_vs_x", "x among a, b, c; ask for rest_vs_a or rest_vs_b or rest_vs_c, or others"),
        ("a_vs_a", "both sides need classes of their own"),
        ("a_vs_rest+b", "both sides need classes of their own"),
        ("rest_vs_a+b+c", "both sides need classes of their own"),
        ("bacterial_vs_viral", "no class bacterial, viral"),
    ],
)
def test_a_task_that_cannot_be_asked_is_refused(name, message):
    with pytest.raises(UserError, match=message.replace("+", r"\+")):
        binary_task(name, records("a", "b", "c"))


@pytest.mark.parametrize("label", ["rest", "a_vs_b", "a+b", "a/b", ""])
def test_a_class_name_that_tasks_could_not_hold_is_refused(label):
    with pytest.raises(UserError, match="rename it"):
        default_tasks(records("a", label))


@pytest.mark.parametrize("label", ["<b>", "a|b", "../x", "a/b", "$x$", "a\nb", ""])
def test_nor_can_a_task_that_is_asked_for_name_it(label):
    # Tasks name files and stand in tables and charts.
    with pytest.raises(UserError, match="rename it"):
        binary_task(f"a_vs_{label}", records("a", label))


def test_one_class_is_not_enough():
    with pytest.raises(UserError, match="only one class, a"):
        default_tasks(records("a", "a"))
