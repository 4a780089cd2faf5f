"""Kernels are compiled while the workers start, where there are none yet, by a process that ends with the run."""

import json
import subprocess
import sys

import pytest

from sweeper.running.kernels_ahead import compiling, needed
from tests.waiting import wait_until
from trainers.maml import compile_ahead
from trainers.maml.compile_ahead import WORDS
from trainers.tuned import Command


@pytest.fixture
def none_kept(monkeypatch):
    monkeypatch.setattr(compile_ahead, "nothing_kept", lambda: True)


def test_one_config_of_each_kind_of_kernels_is_compiled(specs, none_kept):
    engines = {spec.trial_id: "compiled" for spec in specs}
    (command,) = needed(specs, engines)
    ((engine, fields),) = json.loads(command.given)
    assert (engine, fields) == ("compiled", specs[0].config.model_dump())
    engines[specs[1].trial_id] = "fused"
    (command,) = needed(specs, engines)
    assert [engine for engine, _ in json.loads(command.given)] == ["compiled", "fused"]


def test_nothing_is_compiled_where_kernels_are_kept_or_none_is_needed(specs, monkeypatch):
    monkeypatch.setattr(compile_ahead, "nothing_kept", lambda: False)
    assert needed(specs, {spec.trial_id: "compiled" for spec in specs}) == []
    monkeypatch.setattr(compile_ahead, "nothing_kept", lambda: True)
    assert needed(specs, {spec.trial_id: "vmap" for spec in specs}) == []


def test_the_process_reads_what_to_compile_and_ends_with_the_run(tmp_path, monkeypatch):
    wait = f"import sys, time; open({str(tmp_path / 'read')!r}, 'w').write(sys.stdin.read()); time.sleep(600)"
    started, usual = [], subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **how: started.append(usual(*words, **how)) or started[0])
    kinds = [["compiled", {"ways": 5}]]
    with compiling([Command((sys.executable, "-c", wait), json.dumps(kinds))]):
        wait_until(lambda: (tmp_path / "read").exists() and (tmp_path / "read").read_text(), "the process to read")
        assert json.loads((tmp_path / "read").read_text()) == kinds
        assert started[0].poll() is None
    assert started[0].poll() is not None


def test_a_machine_without_room_for_a_process_goes_on():
    with compiling([Command(("/nowhere/python",))]):
        pass


@pytest.mark.slow
def test_the_command_builds_the_engines(specs):
    kinds = json.dumps([("loop", specs[0].config.model_dump())])
    done = subprocess.run(WORDS, input=kinds, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
