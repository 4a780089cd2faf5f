"""The value that a search hears is the number that a report would read from the same record at that step."""

import dataclasses

import pytest

from analysis.contract.question import Endpoint
from analysis.numbers.endpoint import read
from sweeper.planning.searched import searches_of
from sweeper.search.value import value_at
from sweeper.sweepfile.sweep import load
from tests.sweeper.search.hunt import write_hunt
from trainers.maml.trainer import MAML


def record(**parts):
    usual = {"trial_id": "t", "status": "done", "step": 30, "done_step": 30, "evaluations": [], "probes": []}
    return usual | {"config": {"inner_steps": 2, "eval_every": 10}} | parts


def evaluation(step, split="val", **accuracy):
    return {"step": step, "time_ms": 0, "split": split, "episodes": 3, "accuracy": accuracy, "sd": {}}


@pytest.mark.parametrize("step", [10, 20, 25, 30])
@pytest.mark.parametrize("steps", ["inner_steps", 0, 1, 3])
def test_a_number_of_maml(step, steps, tmp_path):
    facts = vars(MAML.metrics["val_accuracy"])
    endpoint = Endpoint.of("val_accuracy", facts, {"head": "zeroed", "steps": steps}, at="last", window=1)
    found = record(
        evaluations=[
            evaluation(10, zeroed=[0.1, 0.2, 0.3], trained=[0.9, 0.9, 0.9]),
            evaluation(20, zeroed=[0.4, None, 0.6]),
            evaluation(30, "test", zeroed=[0.7, 0.8, 0.9]),
        ]
    )
    trial = planned(tmp_path, found["config"], step)
    wanted = read(trial, found, endpoint, "last")
    assert value_at(found, endpoint, step) == (None if wanted.reason else wanted.value)


@pytest.mark.parametrize("step", [1, 2, 3, 9])
def test_a_reading_of_any_trainer(step, tmp_path):
    search = searches_of(load(write_hunt(tmp_path)))[0]
    readings = [{"step": one, "time_ms": 0, "values": {"loss": 1.0 / one}} for one in (1, 2, 4)]
    readings.append({"step": 5, "time_ms": 0, "values": {"error": 0.5}})
    found = record(readings=readings, step=9, done_step=9)
    trial = dataclasses.replace(search.trial({"rate": 0.5}, 0).planned(), target=step)
    assert value_at(found, search.spec.metric, step) == read(trial, found, search.spec.metric, "last").value


def planned(folder, config, step):
    trial = searches_of(load(write_hunt(folder)))[0].trial({"rate": 0.5}, 0).planned()
    return dataclasses.replace(trial, target=step, config=config)
