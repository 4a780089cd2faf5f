"""Tests of the numbers of probes, on matrices with known means, and of the endpoint that reads them."""

import math

import numpy as np
import pytest

from analysis.numbers.endpoint import endpoint_sentence, endpoint_values, read
from analysis.numbers.probes import _NUMBERS, _gap_of, _moved_of, blocks, probe_number, query_query, support_query
from tests.analysis.endpoints import PROBED, endpoint_of, read_otherwise

LABELS = {"head": "zeroed"}
GAP = endpoint_of("support_query_gap", at="last", window=1)


def features(rng: np.random.Generator, ways: int, images: int) -> np.ndarray:
    """Return unit features (ways, images, 7)."""
    found = rng.standard_normal((ways, images, 7)) + 2 * rng.standard_normal((ways, 1, 7))
    return found / np.linalg.norm(found, axis=-1, keepdims=True)


def test_gaps_are_means_over_pairs_with_and_without_an_image_and_itself() -> None:
    rng = np.random.default_rng(5)
    support, query = features(rng, 3, 2), features(rng, 3, 4)
    means = np.concatenate([support.mean(axis=1), query.mean(axis=1)])
    block = blocks({"cosine": (means @ means.T).tolist()})
    cosine = np.einsum("aid,bjd->aibj", query, query)
    same = [[cosine[a, i, a, j] for i in range(4) for j in range(4)] for a in range(3)]
    others = [cosine[a, i, b, j] for a in range(3) for b in range(3) if a != b for i in range(4) for j in range(4)]
    distinct = [cosine[a, i, a, j] for a in range(3) for i in range(4) for j in range(4) if i != j]
    assert query_query(block) == pytest.approx((np.mean(same), np.mean(others)), rel=1e-12)
    assert query_query(block, 4) == pytest.approx((np.mean(distinct), np.mean(others)), rel=1e-12)
    across = np.einsum("aid,bjd->ab", query, support) / 8
    expected = (np.trace(across) / 3, (across.sum() - np.trace(across)) / 6)
    assert support_query(block) == pytest.approx(expected, rel=1e-12)
    assert math.isnan(query_query(block, 1).same)


@pytest.mark.parametrize(
    ("metric", "order", "expected"),
    [
        ("support_query_gap", "first", 0.25),
        ("query_query_gap", "first", 0.55),
        ("positive_share", "first", 0.75),
        ("support_moved", "first", 0.1),
        ("support_moved", "second", 1.5),
        ("query_moved", "second", 4.0),
    ],
)
def test_every_metric_is_its_number_in_the_trials_own_order(
    make_trial, make_record, make_probe, metric, order, expected
) -> None:
    trial = make_trial(LABELS)
    record = make_record(trial, {}, probes=[make_probe(60)])
    record["config"]["order"] = order
    assert probe_number(record, record["probes"][0], metric).value == pytest.approx(expected)
    assert read(trial, record, read_otherwise(GAP, metric=metric), 60).value == pytest.approx(expected)


def test_every_metric_of_probes_has_a_number() -> None:
    assert set(_NUMBERS) == set(PROBED)


def test_the_last_probes_up_to_the_step_are_averaged(make_trial, make_record, make_probe) -> None:
    trial = make_trial(LABELS)
    record = make_record(trial, {}, probes=[make_probe(step, gap) for step, gap in ((1, 0.1), (31, 0.2), (60, 0.4))])
    assert read(trial, record, read_otherwise(GAP, window=2), 60)[0] == pytest.approx(0.3)
    assert read(trial, record, read_otherwise(GAP, window=5), 31)[0] == pytest.approx(0.15)
    assert read(trial, record, GAP, 1)[0] == pytest.approx(0.1)


def test_where_there_is_no_number_there_is_the_reason(make_trial, make_record, make_probe) -> None:
    trial = make_trial(LABELS)
    record = make_record(trial, {60: 0.5}, probes=[make_probe(31, pulled=None)])
    moved = read_otherwise(GAP, metric="support_moved")
    record["config"]["order"] = "second"
    assert read(trial, None, GAP, 60).reason == "not run"
    assert read(trial, record, GAP, 60).reason == "no probe at step 60"
    assert read(trial, record, moved, 31).reason == "support_moved at step 31 is not finite"
    del record["probes"][0]["feature_pull"]
    assert read(trial, record, moved, 31).reason == "probe at step 31 is of a version without feature_pull"
    record["probes"][0]["cosine"][0][1] = None
    assert read(trial, record, GAP, 31).reason == "support_query_gap at step 31 is not finite"
    assert math.isnan(read(trial, record, GAP, 31).value)
    running = make_record(trial, {}, status="running", probes=[make_probe(31)])
    assert read(trial, running, GAP, 60).reason == "running at step 31 of 60"


def test_probes_fill_the_frame_of_endpoint_values_as_evaluations_do(make_trial, make_record, make_probe) -> None:
    trials = [make_trial(LABELS, seed) for seed in range(2)]
    records = {trials[0].trial_id: make_record(trials[0], {}, probes=[make_probe(1), make_probe(60, 0.5)])}
    frame = endpoint_values(trials, records, read_otherwise(GAP, at=(1, 60)))
    assert frame["value"].tolist() == pytest.approx([0.25, math.nan, 0.5, math.nan], nan_ok=True)
    assert frame["reason"].tolist() == ["", "not run", "", "not run"]


def test_the_sentence_says_what_is_measured_and_when() -> None:
    sentence = endpoint_sentence(read_otherwise(GAP, at=(101,), window=3))
    assert sentence == (
        "Mean cosine similarity of query and support features, same class minus other classes, at outer step 101, mean "
        "of the last 3 probes"
    )


def test_two_query_images_per_class_have_a_mean_without_self_pairs() -> None:
    """Of two images a class has four ordered pairs, two of them self-pairs of cosine 1: (4 * 0.75 - 2) / 2 = 0.5."""
    block = np.array([[0.0, 0.0, 0.75, 0.25], [0.0, 0.0, 0.25, 0.75]])
    assert query_query(block, 2) == (0.5, 0.25)


def test_a_probe_of_an_old_version_has_no_displacement_of_queries_either(make_trial, make_record, make_probe) -> None:
    record = make_record(make_trial(LABELS), {}, probes=[make_probe(31)])
    del record["probes"][0]["feature_pull"]
    value, reason = probe_number(record, record["probes"][0], "query_moved")
    assert math.isnan(value) and reason == "probe at step 31 is of a version without feature_pull"


def test_a_number_of_a_probe_is_its_gap_or_none(make_trial, make_record, make_probe) -> None:
    record = make_record(make_trial(LABELS), {})
    record["config"]["order"] = "second"
    whole, torn = make_probe(31), make_probe(31, pulled=None)
    torn["cosine"][0][1] = None
    assert _gap_of(support_query)(record, whole) == pytest.approx(0.25)
    assert _moved_of("support")(record, whole) == 1.5
    assert _gap_of(support_query)(record, torn) is None and _moved_of("support")(record, torn) is None
