"""Probes on their way from the trainer through a journal to the points of a tracked run."""

import gzip
import json

import pytest
import torch

from sweeper.results.fold import fold
from sweeper.results.journal import Journal
from sweeper.tracking.run_contents import TrackedTrial, artifact, last_time_ms, tags
from trainers.data import strokes
from trainers.maml.config import resolve
from trainers.maml.points import points
from trainers.maml.train import train
from trainers.maml.trainer import MAML

CONFIG = {"dataset": "strokes", "inner_steps": 1}
FACTS = {
    "trial_id": "t", "point": "p", "cell": "c", "seed": 0, "target": 20, "device": "cpu", "digest": "d",
    "config": resolve(CONFIG).model_dump(),
}  # fmt: skip
TRAINING = {"query_loss": 1.5, "query_accuracy": 0.25}
EVALUATION = {
    "split": "test", "episodes": 2, "accuracy": {"trained": [0.2, 0.5], "zeroed": [0.2, 0.6]},
    "sd": {"trained": [0.0, 0.1], "zeroed": [0.0, 0.1]},
}  # fmt: skip
PROBE = {
    "cosine": [[1.0, 0.25], [0.25, 1.0]],
    "positive": [0.75, 0.8, 0.79, 0.7],
    "negative": [0.25, 0.2, 0.21, 0.3],
    "head_norm": 2.5,
    "interference_norm": [0.5, None, 0.25],
    "contrastive_norm": [1.0, 3.0],
    "gradient_norm": {"first": [1.0, 2.0, 9.0], "second": [None, None, None]},
    "layer_change": {"conv1": 0.125, "norm1": None, "head": 4.0},
    "feature_change": None,
    "smallest_variance": [0.0, 0.0],
    "smallest_live_variance": [0.01, None],
    "flat_channels": [0.25, 0.0],
}
NUMBERS = {
    "positive/median": 0.77, "positive/max": 0.8, "negative/median": 0.23, "negative/max": 0.3, "head_norm": 2.5,
    "interference_norm/median": 0.375, "interference_norm/max": 0.5, "contrastive_norm/median": 2.0,
    "contrastive_norm/max": 3.0, "gradient_norm/first/median": 2.0, "gradient_norm/first/max": 9.0,
    "layer_change/conv1": 0.125, "layer_change/head": 4.0, "smallest_live_variance/median": 0.01,
    "smallest_live_variance/min": 0.01, "flat_channels/median": 0.125, "flat_channels/max": 0.25,
}  # fmt: skip
TRIAL = TrackedTrial(trial_id="t", name="strokes · s0", sweep="demo", labels={}, trainer=MAML)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "t" / "journal.jsonl"


def journalled(path, *records):
    """Return the fold of a journal of one attempt with `records`, as (step, key, value)."""
    journal = Journal(path)
    journal.add(journal.open_attempt(FACTS), records)
    return fold(path)


def probe_points(record) -> list:
    return [point for point in points(record, all_of_them=False) if point.key.startswith("probe_")]


def test_probes_fold_with_their_step_and_time_in_order_of_steps(path):
    other = PROBE | {"head_norm": 7.0}
    record = journalled(path, (10, "probe", other), (0, "probe", PROBE), (10, "training", TRAINING))
    assert [found.pop("time_ms") > 1_600_000_000_000 for found in record["probes"]] == [True, True]
    assert record["probes"] == [{"step": 0, **PROBE}, {"step": 10, **other}]


def test_the_first_probe_of_a_step_counts_also_when_a_resumed_worker_sends_it_again(path):
    journalled(path, (0, "probe", PROBE))
    again = Journal(path)
    attempt = again.open_attempt(FACTS)
    assert again.add(attempt, [(0, "probe", PROBE | {"head_norm": 9.0}), (5, "probe", PROBE)]) == 1
    assert [(found["step"], found["head_norm"]) for found in fold(path)["probes"]] == [(0, 2.5), (5, 2.5)]


def test_a_probe_is_tracked_as_its_numbers_and_the_median_and_largest_of_its_lists(path):
    """What wasn't finite has no point, and an episode without a number is left out of the median."""
    record = journalled(path, (0, "probe", PROBE), (10, "probe", PROBE | {"head_norm": 7.0}))
    time_ms = record["probes"][0]["time_ms"]
    found = {point.key: point for point in probe_points(record) if point.step == 0}
    assert {key: point.value for key, point in found.items()} == {
        f"probe_{name}": pytest.approx(value) for name, value in NUMBERS.items()
    }
    assert {point.time_ms for point in found.values()} == {time_ms}
    later = {point.key: point.value for point in probe_points(record) if point.step == 10}
    assert later["probe_head_norm"] == 7.0


def test_each_point_of_a_probe_has_a_key_and_step_of_its_own(path):
    record = journalled(path, *[(step, "probe", PROBE) for step in (0, 5, 10)])
    found = [(point.key, point.step) for point in points(record, all_of_them=False)]
    assert len(found) == len(set(found)) == 3 * len(NUMBERS)


def test_a_journal_from_before_there_were_probes_folds_to_none_and_shows_the_rest(path):
    record = journalled(path, (1, "training", TRAINING), (10, "evaluation", EVALUATION))
    assert record["probes"] == []
    assert probe_points(record) == []
    assert {point.key for point in points(record, all_of_them=False)} >= {
        "train_query_loss",
        "test_accuracy/zeroed/inner_steps",
    }


def test_probes_leave_the_other_points_as_they_are(path, tmp_path):
    rest = [(1, "training", TRAINING), (10, "training", TRAINING), (10, "evaluation", EVALUATION)]
    plain = journalled(path, *rest)
    both = journalled(tmp_path / "u" / "journal.jsonl", *rest, (0, "probe", PROBE), (10, "probe", PROBE))
    found = [
        (key, value, step) for key, value, _, step in points(both, all_of_them=False) if not key.startswith("probe_")
    ]
    assert found == [(key, value, step) for key, value, _, step in points(plain, all_of_them=False)]


def test_the_artefact_holds_every_probe_whole(path):
    record = journalled(path, (0, "probe", PROBE))
    kept = json.loads(gzip.decompress(artifact(record)))
    assert {name: kept["probes"][0][name] for name in PROBE} == PROBE


def test_a_run_that_gained_a_probe_shows_another_hash(path):
    """Equal hashes mean that nothing has to be sent."""
    journal = Journal(path)
    attempt = journal.open_attempt(FACTS)
    journal.end(attempt, "interrupted", step=1)
    before = tags(fold(path), TRIAL)["sweeper.shown"]
    attempt = journal.open_attempt(FACTS)
    journal.add(attempt, [(0, "probe", PROBE)])
    journal.end(attempt, "interrupted", step=1)
    assert before != "" != tags(fold(path), TRIAL)["sweeper.shown"] != before


def test_the_newest_record_of_a_trial_that_ended_after_a_probe_is_the_probe(path):
    record = journalled(path, (1, "training", TRAINING), (1, "probe", PROBE))
    record["probes"][0]["time_ms"] += 5000
    assert last_time_ms(record) == record["probes"][0]["time_ms"]


@pytest.mark.slow
def test_what_the_trainer_records_is_what_the_tracker_shows(path):
    config = resolve(
        CONFIG | {"channels": 4, "ways": 3, "queries": 3, "meta_batch_size": 2, "outer_steps": 2, "eval_episodes": 2,
                  "probe_every": 1, "probe_episodes": 2, "order": "first"}
    )  # fmt: skip
    pixels = torch.from_numpy(strokes.make(0))
    records = [tuple(record) for chunk in train([config], pixels) for record in chunk.runs[0].records]
    record = journalled(path, *records)
    expected = {step: value for step, key, value in records if key == "probe"}
    assert {found["step"]: found["cosine"] for found in record["probes"]} == {
        step: value["cosine"] for step, value in expected.items()
    }
    shown = {(point.key, point.step): point.value for point in probe_points(record)}
    for step in (0, 1, 2):
        assert shown["probe_head_norm", step] == expected[step]["head_norm"]
        assert shown["probe_gradient_norm/second/max", step] == max(expected[step]["gradient_norm"]["second"])
        for layer, change in expected[step]["layer_change"].items():
            assert shown[f"probe_layer_change/{layer}", step] == change
