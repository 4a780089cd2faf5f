"""What a class of one's own may yield: every fault names the trainer, the member, and what is expected."""

import dataclasses

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict

from sweeper.worker.checked import checked, states_of
from trainers.readings import ReadingsTrainer
from trainers.trainer import Chunk, Metric, Record, RunChunk, TrainerError


class Config(BaseModel):
    model_config = ConfigDict(frozen=True)

    steps: int = 4
    seed: int = 0


class Own(ReadingsTrainer):
    name = "own"
    config = Config
    length = "steps"
    metrics = {"loss": Metric(words="Loss"), "accuracy": Metric(words="Accuracy", coordinates={"split": ("val",)})}  # noqa: RUF012
    resumes = True


def run(*records, status="running"):
    return RunChunk(tuple(Record(*record) for record in records), status, "")


def chunk(step, *runs, states=lambda: (None,)):
    return Chunk(step, runs or (run(),), states)


def reading(step, **numbers):
    return step, "readings", numbers


def seen(*yielded, trainer=None, configs=1):
    return list(checked(trainer or Own(), [Config()] * configs, iter(yielded)))


def test_what_follows_the_protocol_passes_as_it_is():
    last = run(reading(2, loss=1), (4, "readings", {"accuracy/val": 0.5}), status="done")
    told = [chunk(1, run(reading(1, loss=0.5))), chunk(4, last)]
    assert seen(*told) == told


LAST = chunk(4, run(status="done"))
FAULTS = {
    "no chunk": ([{"loss": 1.0}], r"must yield Chunk, got \{'loss': 1.0\}"),
    "no run": ([Chunk(1, (), tuple)], "news of each of its 1 runs, got 0"),
    "no status": ([chunk(1, run(status="over"))], "with a status of running, done, diverged"),
    "no step": ([chunk("1")], "a step from 0 to 99999999, got '1'"),
    "true for a step": ([chunk(True)], "got True"),
    "a step back": ([chunk(2), chunk(1)], "must not go back: it yielded step 1 after step 2"),
    "a record of later": ([chunk(1, run(reading(2, loss=1.0)))], "steps from 0 to that of the chunk, 1, got 2"),
    "a reading back": (
        [chunk(2, run(reading(2, loss=1.0), reading(1, loss=1.0)))], "a reading of step 1 after 2",
    ),
    "an undeclared metric": ([chunk(1, run(reading(1, lost=1.0)))], "metric 'lost' is not declared; .* loss, accuracy"),
    "a missing coordinate": ([chunk(1, run(reading(1, accuracy=1.0)))], "must be named accuracy/SPLIT"),
    "nan": ([chunk(1, run(reading(1, loss=float("nan"))))], "metric loss must be a finite number, got nan"),
    "true": ([chunk(1, run(reading(1, loss=True)))], "metric loss must be a number, got True"),
    "a text": ([chunk(1, run(reading(1, loss="1")))], "metric loss must be a number, got '1'"),
    "an undeclared key": ([chunk(1, run((1, "curve", {})))], r"a declared key \(readings\), got 'curve'"),
    "another coordinate": ([chunk(1, run((1, "readings", {"accuracy/test": 1.0})))], "split must be val, got 'test'"),
    "no dict": ([chunk(1, run((1, "readings", [1.0])))], "whose value is a dict"),
    "no record": ([Chunk(1, (RunChunk(({"loss": 1.0},), "running", ""),), tuple)], "a step, a key and a value"),
    "done too early": ([chunk(3, run(status="done"))], "done at step 3, but steps asks for 4 steps"),
    "nothing": ([], "ended and has yielded nothing"),
    "no last chunk": ([chunk(1)], "ended without a last chunk"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_told(fault):
    yielded, said = FAULTS[fault]
    with pytest.raises(TrainerError, match=f"^trainer own: train.*{said}"):
        seen(*yielded)


def test_something_that_can_not_be_iterated_is_told():
    with pytest.raises(TrainerError, match=r"^trainer own: train must return an iterator of chunks, got None"):
        list(checked(Own(), [Config()], None))


def test_a_trainer_without_a_length_is_done_when_it_says_so():
    class Endless(Own):
        length = None

    assert seen(chunk(3, run(status="done")), trainer=Endless())


def test_runs_of_a_pack_are_checked_each():
    with pytest.raises(TrainerError, match="metric 'lost' is not declared"):
        seen(chunk(1, run(), run(reading(1, lost=1.0))), configs=2)
    assert seen(chunk(4, run(status="done"), run(status="diverged")), configs=2)


def test_closing_closes_the_trainer():
    closed = []

    def training():
        try:
            yield chunk(1)
        finally:
            closed.append(True)

    chunks = checked(Own(), [Config()], training())
    next(chunks)
    chunks.close()
    assert closed == [True]


@dataclasses.dataclass
class State:
    step: object


@pytest.mark.parametrize(
    ("states", "said"),
    [(lambda: None, "one state for each run"), (lambda: (), "one state for each run"),
     (lambda: ({"x": 1},), "must have a `step`"), (lambda: (State(-1),), "from 0 to 99999999, got -1"),
     (lambda: (State("1"),), "got '1'")],
)  # fmt: skip
def test_states_that_are_none_are_told(states, said):
    with pytest.raises(TrainerError, match=said):
        states_of(Own(), chunk(1, states=states))


def test_a_run_may_have_no_state():
    assert states_of(Own(), chunk(1)) == (None,)


def test_numbers_of_numpy_become_plain():
    (told,) = seen(chunk(4, run(reading(1, loss=np.float32(0.5)), reading(2, loss=np.array(1)), status="done")))
    assert [record.value for record in told.runs[0].records] == [{"loss": 0.5}, {"loss": 1.0}]
    assert [type(record.value["loss"]) for record in told.runs[0].records] == [float, float]


class Curve(BaseModel):
    points: list[float]


@pytest.mark.parametrize("value", [{"points": {1.0}}, {"points": [float("nan")]}, {"points": np.float32(1)}])
def test_records_of_a_trainers_own_kind_are_plain_json(value):
    class Curved(Own):
        records = {"curve": Curve}  # noqa: RUF012

    assert seen(chunk(4, run((1, "curve", {"points": [1.0]}), status="done")), trainer=Curved())
    with pytest.raises(TrainerError, match="must yield plain JSON data, got curve at step 1"):
        seen(chunk(4, run((1, "curve", value), status="done")), trainer=Curved())
