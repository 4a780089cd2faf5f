"""Sweeps over networks by name, the user's own among them: planned, trained, resumed, and refused with the place."""

import json

import pytest

from sweeper.planning.expand import expand
from sweeper.results.fold import fold
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load
from tests.sweeper.played import command, run
from tests.trainers.own_networks import SOURCE, write

SWEEP = """\
version: 1
name: networks
question: Does the machinery work with any network?
fixed: {use: strokes, ways: 2, queries: 2, meta_batch_size: 1, inner_steps: 1, outer_steps: 2, eval_episodes: 2}
matrix:
  network: [mlp, "net.py:plain"]
seeds: 1
endpoint: {metric: test_accuracy, head: trained, steps: inner_steps, at: last, window: 1}
report:
  tables: [{rows: [], columns: network}]
"""
PROTONET = """\
version: 1
trainer: protonet
name: protonets
question: Does it take any network?
fixed: {use: strokes, channels: 64, ways: 2, queries: 2, outer_steps: 2, eval_every: 2, eval_episodes: 2}
matrix:
  network: [mlp, "net.py:plain"]
seeds: 1
endpoint: {metric: accuracy, split: test, at: last, window: 1}
report:
  tables: [{rows: [], columns: network}]
"""


@pytest.fixture
def lab(tmp_path, drawn_before):
    write(tmp_path)
    (tmp_path / "networks.yaml").write_text(SWEEP)
    (tmp_path / "protonets.yaml").write_text(PROTONET)
    return tmp_path


def planned(results: Results, file) -> list[dict]:
    told = command("plan", file, "--results", results.root, "--json")
    assert told.exit_code == 0, told.output
    return json.loads(told.stdout)["trials"]


@pytest.mark.parametrize("name", ["networks", "protonets"])
def test_a_sweep_over_networks_trains_and_says_when_the_code_of_one_has_changed(lab, results, name):
    file = lab / f"{name}.yaml"
    ended = run(results, file, "--device", "cpu")
    assert ended.exit_code == 0, ended.output
    trials = planned(results, file)
    assert [trial["state"] for trial in trials] == ["done"] * 2
    assert [trial["config"]["network"] for trial in trials] == ["mlp", "net.py:plain"]
    records = [fold(results.trial(trial["trial_id"]).journal) for trial in trials]
    codes = [record["attempts"][-1].get("code", "") for record in records]
    assert codes[0] == "" and len(codes[1]) == 16
    assert {record["attempts"][0]["engine"] for record in records} <= {"loop", "python"}
    write(lab, SOURCE.replace("nn.Tanh()", "nn.Sigmoid()"))
    assert [trial["why"] for trial in planned(results, file)] == [
        "done at step 2",
        "done at step 2; code changed since attempt 1",
    ]
    refused = run(results, file, "--device", "cpu")
    assert refused.exit_code == 2 and "the code of network net.py:plain has changed since " in refused.output
    assert run(results, file, "--device", "cpu", "--rerun", "network=net.py:plain", "--yes").exit_code == 0
    assert [trial["why"] for trial in planned(results, file)] == ["done at step 2"] * 2


def test_a_name_is_part_of_the_identity_and_the_folder_and_the_code_are_not(lab, tmp_path):
    ids = [spec.trial_id for spec in expand(load(lab / "networks.yaml"))]
    other = tmp_path / "other"
    other.mkdir()
    (other / "networks.yaml").write_text(SWEEP)
    assert [spec.trial_id for spec in expand(load(other / "networks.yaml"))] == ids
    write(lab, "nothing to import(")
    assert [spec.trial_id for spec in expand(load(lab / "networks.yaml"))] == ids
    (other / "networks.yaml").write_text(SWEEP.replace("net.py:plain", "net.py:Small"))
    assert len({*ids, *(spec.trial_id for spec in expand(load(other / "networks.yaml")))}) == 3


@pytest.mark.parametrize(
    ("given", "place", "said"),
    [
        ("resnet", "6:18", "unknown network 'resnet'; did you mean 'resnet12'?"),
        (
            '"net.py:smal"',
            "6:18",
            "network: net.py:smal: net.py has no 'smal'; its functions and classes: conv4, Small",
        ),
        ('"absent.py:net"', "6:18", "network: absent.py:net: there is no file "),
        ('"no.such.module:net"', "6:18", "network: no.such.module:net: no.such.module can't be imported"),
    ],
)
def test_a_fault_is_told_at_its_place_by_plan_and_run_and_nothing_is_written(lab, results, given, place, said):
    file = lab / "networks.yaml"
    file.write_text(SWEEP.replace('"net.py:plain"', given))
    for told in (command("plan", file, "--results", results.root), run(results, file)):
        assert told.exit_code == 2
        lines = told.output.strip().splitlines()
        assert len(lines) == 1 and f"networks.yaml:{place}: " in lines[0] and said in lines[0]
    assert not results.root.exists()


def test_code_that_a_file_from_elsewhere_names_is_not_run(lab):
    write(lab, "raise SystemExit('it was run')\n")
    sweep = load(lab / "networks.yaml", trusted=False)
    for spec in expand(sweep):
        assert spec.trainer.named_code(spec.config) is None and not list(spec.trainer.named_faults(spec.config))
        assert spec.trainer.checkpoint_bytes(spec.config) >= 0


def test_results_are_read_where_the_code_is_absent(lab, results):
    file = lab / "networks.yaml"
    assert run(results, file, "--device", "cpu").exit_code == 0
    (lab / "net.py").unlink()
    told = command("status", file, "--results", results.root)
    assert told.exit_code == 0 and told.output.split()[:4] == ["planned", "2", "done", "2"]
