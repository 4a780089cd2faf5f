"""Checkpoint files of trainers of readings: written together, read back, and refused when they are damaged."""

import json

import pytest

from trainers import state_file
from trainers.sealed_file import seal
from trainers.state_file import State
from trainers.trainer import CheckpointError, Record

STATE = State(
    step=20,
    records=(Record(10, "readings", {"loss": 0.1}), Record(20, "readings", {"loss": 1e-300})),
    content=b"\x00\n{\xff",
)


def test_a_state_comes_back_as_it_was(tmp_path):
    first, second = tmp_path / "a.state", tmp_path / "b.state"
    state_file.save_together([(first, STATE), (second, State(step=0))])
    assert state_file.load(first) == STATE
    assert state_file.load(second) == State(step=0)
    assert state_file.is_one(first)


def test_its_records_are_readable_without_its_trainer(tmp_path):
    path = tmp_path / "a.state"
    state_file.save_together([(path, STATE)])
    payload = path.read_bytes()[65:]
    assert state_file.records_in(payload) == [tuple(record) for record in STATE.records]


@pytest.mark.parametrize("where", [0, 64, 70, 120, -1])
def test_a_changed_byte_is_noticed(tmp_path, where):
    path = tmp_path / "a.state"
    state_file.save_together([(path, STATE)])
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="its content does not match its digest"):
        state_file.load(path)


def test_a_file_that_is_missing_or_short_is_told(tmp_path):
    path = tmp_path / "a.state"
    with pytest.raises(CheckpointError, match=r"a\.state: No such file"):
        state_file.load(path)
    assert not state_file.is_one(path)
    path.write_bytes(b"")
    assert not state_file.is_one(path)
    with pytest.raises(CheckpointError, match="does not match its digest"):
        state_file.load(path)


def head(**changed):
    return json.dumps({"form": "sweeper state 1", "step": 1, "records": [], **changed}).encode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b"PK\x03\x04",
        head(form="other"),
        head(step=-1),
        head(step=True),
        head(step="1"),
        head(step=None),
        head(records=3),
        head(records=[[1, "readings"]]),
        head(records=[[1, "readings", {"loss": "x"}]]),
        head(records=[[1, "readings", {"loss": float("nan")}]]),
        head(records=[[1, "readings", {"loss": 10**400}]]),
        head(records=[[-1, "readings", {}]]),
        head(records=[[1, 2, {}]]),
        head(records={"a": 1}),
    ],
)
def test_a_sealed_file_of_another_form_is_refused(tmp_path, payload):
    path = tmp_path / "a.state"
    path.write_bytes(seal(payload))
    with pytest.raises(CheckpointError, match=r"a\.state: not a checkpoint"):
        state_file.load(path)
    with pytest.raises(ValueError, match="not a checkpoint"):
        state_file.records_in(payload)
