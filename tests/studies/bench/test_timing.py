"""Timing: alternation, medians, refusals, the merging of rows, and what counts as the same."""

import math
import threading
import time

import jax.numpy as jnp
import numpy as np
import pytest

from jxr.studies.bench import timing
from jxr.studies.bench.timing import Case, alternate, largest_difference, measure, merged


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(timing, "SAMPLE", 0.0)
    monkeypatch.setattr(timing, "PAUSE", 0.0)


def case(ours, peer, error=0.0, **others):
    values = {"what": "blur", "peer_name": "snail", "tolerance": 1e-3, "batch": 6}
    values |= {"versions": ("numpy",), **others}
    return Case(ours=ours, peer=peer, error=lambda: error, **values)


def test_sides_alternate_after_a_warm_up(quick):
    calls = []
    ours, peer = alternate(lambda: calls.append("o"), lambda: calls.append("p"), repeats=3)
    # A first call each, one to see how long it takes, then the samples in turn.
    assert "".join(calls) == "op" + "op" + "opopop"
    assert len(ours) == len(peer) == 3


def test_short_calls_are_repeated_within_a_sample(monkeypatch):
    monkeypatch.setattr(timing, "PAUSE", 0.0)
    monkeypatch.setattr(timing, "SAMPLE", 0.1)
    calls = []
    ours, _ = alternate(lambda: (calls.append(1), time.sleep(0.01)), lambda: None, repeats=2)
    assert 2 + 2 * 4 <= len(calls) <= 2 + 2 * 10
    assert all(0.01 <= seconds < 0.03 for seconds in ours)


def test_a_row_has_what_the_contract_names_and_the_right_ratio(quick):
    row = measure(case(lambda: time.sleep(0.01), lambda: time.sleep(0.04)), repeats=5)
    wanted = "what, ours, peer, peer_name, ratio, unit, device, batch, dtype, versions"
    assert list(row)[:10] == wanted.split(", ")
    assert 2.5 < row["ratio"] < 4.5
    assert row["ratio"] == pytest.approx(row["ours"] / row["peer"], rel=2e-3)
    assert 6 / 0.06 < row["peer"] < 6 / 0.04
    assert (row["what"], row["peer_name"], row["unit"]) == ("blur", "snail", "images/s")
    assert row["versions"]["numpy"] == np.__version__
    assert (row["batch"], row["dtype"]) == (6, "float32")


def test_the_median_shrugs_off_a_hiccup(quick):
    naps = iter([0, 0, 0.005, 0.3, 0.005])
    row = measure(case(lambda: time.sleep(next(naps)), lambda: time.sleep(0.01)), repeats=3)
    assert row["ratio"] > 1


def test_an_accelerator_s_row_has_its_share_of_the_rate_of_matrix_products(quick, monkeypatch):
    work = case(lambda: time.sleep(0.01), lambda: None, flop=10**6, dtype="bfloat16")
    assert "share_of_peak" not in measure(work, repeats=3)  # a CPU
    monkeypatch.setattr("jax.default_backend", lambda: "gpu")
    monkeypatch.setattr(timing, "matmul_rate", {"bfloat16": 4e8}.get)
    row = measure(work, repeats=3)
    assert 5e7 < row["flop_per_second"] <= 1e8  # in 10 to 20 ms
    assert row["share_of_peak"] == pytest.approx(row["flop_per_second"] / 4e8, rel=2e-3)
    assert "share_of_peak" not in measure(work._replace(flop=0), repeats=1)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_rate_of_matrix_products(dtype, quick):
    began = time.perf_counter()
    rate = timing.matmul_rate(dtype, size=192, repeats=2)
    # At least one product took no longer than all of this; no processor does 1e17 a second.
    assert 2 * 192**3 / (time.perf_counter() - began) < rate < 1e17


@pytest.mark.parametrize("error", [2e-3, math.nan])
def test_different_results_are_not_timed(quick, error):
    timed = []
    with pytest.raises(ValueError, match="blur: ours and snail differ"):
        measure(case(lambda: timed.append(1), lambda: timed.append(1), error=error), repeats=1)
    assert not timed


def test_largest_difference():
    peer = np.array([[1.0, -4.0], [2.0, 0.0]])
    assert largest_difference(jnp.asarray(peer) + jnp.eye(2), peer) == 0.25
    assert math.isnan(largest_difference(np.full((2, 2), np.nan), peer))
    with pytest.raises(ValueError, match="3 values, the peer 4"):
        largest_difference(np.zeros(3), peer)


def test_images_go_through_as_many_threads_as_wanted():
    meeting = threading.Barrier(2, timeout=20)

    def work(item):
        meeting.wait()  # nobody gets on alone
        return 10 * item

    assert timing.one_by_one(work, range(4), threads=2)() == [0, 10, 20, 30]
    assert (
        timing.one_by_one(lambda item: threading.get_ident(), range(2), threads=1)()
        == [threading.get_ident()] * 2
    )


def test_waiting_returns_finished_results():
    call = timing.waiting(lambda x, y: x @ y, np.ones((3, 2), np.float32), np.ones((2, 3)))
    np.testing.assert_array_equal(call(), np.full((3, 3), 2.0))


def test_a_rerun_replaces_the_row_of_the_same_key():
    def row(ratio, **changed):
        values = {"what": "blur", "peer_name": "scipy", "device": "cpu", "dtype": "float32"}
        return {**values, **changed, "ratio": ratio}

    old = [row(1.0), row(2.0, peer_name="a"), row(3.0, device="GPU"), row(4.0, dtype="bfloat16")]
    rows = merged(old, [row(9.0), row(8.0, what="wiener")])
    assert {r["ratio"] for r in rows} == {9.0, 2.0, 3.0, 4.0, 8.0}
    assert merged(list(reversed(rows)), []) == rows
