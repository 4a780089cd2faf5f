"""The GPU of a slot and the packs on it, with what asks for one and what measures it played."""

import json

import pytest

from sweeper.errors import SweepError
from sweeper.executors.slurm import gpu
from sweeper.executors.slurm.gpu import pack_of, require
from sweeper.executors.slurm.submission import Submission


@pytest.fixture
def submission(results):
    """Return a function that returns a submission with these facts."""

    def made(**facts):
        folder = results.slurm / "000001"
        folder.mkdir(parents=True, exist_ok=True)
        content = {"form": 1, "device": "cuda", "pack": 0, "asked": {"data_root": "/shared/data"}} | facts
        (folder / "submission.json").write_text(json.dumps(content))
        return Submission(folder)

    return made


@pytest.fixture
def measured(monkeypatch):
    """Return what was asked to measure packs, which finds that eight trials are best."""
    asked = []
    monkeypatch.setattr(gpu, "pack_size", lambda *given: asked.append(given) or (8, "measured, 8: 10 ms a step"))
    return asked


DATA = {"strokes": {"name": "strokes", "path": "/shared/data/strokes/x.npy", "digest": "0"}}


def test_the_first_slot_of_a_node_measures_packs_and_the_others_read_them(submission, measured, specs):
    said = []
    for node in ("a", "a", "b", "a"):
        assert pack_of(submission(begun={"x": 2}), specs, DATA, node, said.append) == 8
    assert len(measured) == 2
    assert measured[0][1:3] == ({"x": 2}, "cuda") and str(measured[0][3]) == "/shared/data"
    assert said == ["packs of 8 (measured, 8: 10 ms a step)"] * 2


def test_data_on_the_own_disk_of_a_node_is_measured_there(submission, measured, specs, monkeypatch, tmp_path):
    monkeypatch.setenv("SWEEPER_DATA", str(tmp_path))
    own = {"strokes": {**DATA["strokes"], "path": str(tmp_path / "strokes.npy")}}
    pack_of(submission(), specs, own, "a", lambda _: None)
    assert measured[0][3] == tmp_path


@pytest.mark.parametrize("asked", [1, 4])
def test_what_was_asked_for_is_not_measured(submission, measured, specs, asked):
    assert pack_of(submission(pack=asked), specs, DATA, "a", lambda _: None) == asked
    assert not measured


def test_trials_train_alone_where_measuring_fails_and_the_next_slot_measures_again(submission, specs, monkeypatch):
    def fail(*_):
        raise SweepError("the memory and time of trials can't be measured: no room")

    said = []
    monkeypatch.setattr(gpu, "pack_size", fail)
    assert pack_of(submission(), specs, DATA, "a", said.append) == 1
    assert said == ["trials train alone: the memory and time of trials can't be measured: no room"]
    assert not list(submission().folder.glob("packs/*"))


def test_a_measurement_that_is_no_number_is_made_again(submission, measured, specs):
    kept = submission().folder / "packs/a.json"
    kept.parent.mkdir()
    kept.write_text("")
    assert pack_of(submission(), specs, DATA, "a", lambda _: None) == 8
    assert json.loads(kept.read_text()) == 8


def test_a_job_without_its_gpu_may_not_train(submission, monkeypatch):
    monkeypatch.setattr("sweeper.host.devices.has_driver", lambda *_: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    with pytest.raises(SweepError, match=r"has no GPU that works \(CUDA_VISIBLE_DEVICES is 2\): .*no NVIDIA driver"):
        require(submission(), lambda _: None)
    require(submission(device="cpu"), lambda _: None)


def test_the_slot_says_which_device_slurm_has_given(submission, monkeypatch):
    said = []
    monkeypatch.setattr(gpu, "choose_device", lambda wanted: ("cuda", "1 CUDA device(s) found"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-3fa4")
    require(submission(), said.append)
    assert said == ["1 CUDA device(s) found, CUDA_VISIBLE_DEVICES is GPU-3fa4"]
