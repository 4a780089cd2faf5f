"""What a machine of a cluster must have, each lack as a sentence, and what a worker on an unfit one does."""

import json
import shutil
from pathlib import Path

import pytest

from sweeper.dealing.assignment import Member, TrainerFound
from sweeper.executors import node_check
from sweeper.executors.node_check import TOKEN_FILE, Unfit, asked, examine, with_arrays, word_of
from sweeper.host.provenance import source_digest
from sweeper.planning.expand import expand
from sweeper.results.survey import Batch, SurveyedSweep, survey
from sweeper.running.required import required
from sweeper.sweepfile.sweep import load
from tests.sweeper.assigned import assigned
from tests.sweeper.plugged import TOY
from tests.sweeper.tiny import TINY
from tests.trainers.data.added.drawn import add, folders
from trainers.data.added import shelf
from trainers.data.catalog import CATALOG
from trainers.data.datasets import prepare
from trainers.registry import find
from trainers.trainer import Data, Reference


@pytest.fixture
def wanted(results, tmp_path, monkeypatch):
    """Return what a driver here wants of a node, with its token in place."""
    monkeypatch.setenv("SWEEPER_DATA", str(tmp_path / "nothing"))
    found = asked({"strokes": {"digest": CATALOG["strokes"].digest}}, tmp_path / "driver", results, "0123abcd")
    meeting = Path(found["meeting"])
    meeting.mkdir(parents=True)
    (meeting / TOKEN_FILE).write_text(found["token"])
    return found


def test_a_machine_like_the_drivers_has_nothing_wrong_and_answers_where_the_driver_can_read(wanted):
    answer = examine(json.loads(json.dumps(wanted)), "node-1")
    assert answer.trouble == []
    assert answer.arrays == {"strokes": str(prepare("strokes", Path("nowhere")).path)}
    assert Path(wanted["meeting"], "node-1").read_text() == word_of("node-1", "0123abcd")


def test_each_version_that_differs_is_named_with_both(wanted):
    wanted["versions"] |= {"torch": "0.1", "python": "3.9"}
    told = " ".join(examine(wanted, "node-1").trouble)
    assert "python is 3.1" in told and "the driver's is 3.9" in told
    assert "torch is " in told and "the driver's is 0.1; install that version there" in told
    assert "numpy" not in told


def test_other_code_is_named_with_both_digests(wanted):
    wanted["code"] = "f" * 64
    (told,) = examine(wanted, "node-1").trouble
    assert source_digest()[:12] in told and "the driver's is ffffffffffff" in told


def test_the_digest_of_the_code_is_of_names_and_contents(tmp_path, monkeypatch):
    from sweeper.host import provenance

    for package in provenance.SOURCES:
        shutil.copytree(Path(provenance.__file__).parents[2] / package, tmp_path / package)
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "sweeper/host/provenance.py"))
    digest = provenance.source_digest.__wrapped__
    assert digest() == source_digest()
    protocol = next((tmp_path / "trainers/maml/protocols").glob("*.yaml"))
    protocol.write_text(protocol.read_text() + "# more\n")
    changed = digest()
    (tmp_path / "trainers/maml/adapt.py").rename(tmp_path / "trainers/maml/renamed.py")
    assert len({source_digest(), changed, digest()}) == 3


@pytest.mark.parametrize("fault", ["gone", "another"])
def test_a_results_folder_that_is_another_is_told(wanted, fault):
    meeting = Path(wanted["meeting"])
    if fault == "gone":
        shutil.rmtree(meeting)
    else:
        (meeting / TOKEN_FILE).write_text("of another run")
    (told,) = examine(wanted, "node-1").trouble
    assert f"the results folder isn't the driver's there ({meeting / TOKEN_FILE}: " in told
    assert "name it with --results" in told


def test_data_that_is_not_there_is_told_with_the_folders_that_were_searched(wanted, tmp_path):
    wanted["data"] = {"omniglot": CATALOG["omniglot"].digest}
    (told,) = examine(wanted, "node-1").trouble
    assert str(tmp_path / "nothing") in told and str(tmp_path / "driver") in told
    assert "SWEEPER_DATA" in told


def test_an_added_set_is_found_by_its_name_and_digest_on_every_machine(wanted, tmp_path, monkeypatch):
    monkeypatch.setattr(shelf, "_elsewhere", {})
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    description = add("zoo", folders(tmp_path / "zoo")).description
    wanted["data"] = {"zoo": description.digest}
    answer = examine(wanted, "node-1")
    assert (answer.trouble, answer.arrays) == ([], {"zoo": str(prepare("zoo", tmp_path).path)})
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "another"))
    (told,) = examine(wanted, "node-2").trouble
    assert "zoo: this machine has no data set of this name; add it with `sweeper data add zoo FOLDER`" in told
    add("zoo", tmp_path / "zoo", normalise="none")
    (told,) = examine(wanted, "node-2").trouble
    assert f"the driver's has {description.digest[:12]}" in told


def test_data_of_another_digest_is_refused(wanted):
    wanted["data"] = {"strokes": "0" * 64}
    (told,) = examine(wanted, "node-1").trouble
    assert "strokes in " in told and "the driver's has 000000000000" in told


@pytest.fixture
def assignment():
    member = Member(trial_id="t", attempt=3, folder="/nowhere", config={})
    return assigned([member], "/driver/strokes.npy", pack=7)


def test_a_worker_trains_on_its_own_machines_array(assignment):
    moved = with_arrays(assignment, {"strokes": "/node/strokes.npy"})
    assert moved["data"] == {"name": "strokes", "path": "/node/strokes.npy", "digest": "0"}
    assert assignment["data"]["path"] == "/driver/strokes.npy"


def test_a_worker_on_an_unfit_machine_gives_its_trials_back_untouched(assignment):
    update = Unfit(assignment, ["torch is 1", "no data"]).step()
    assert update["over"] and update["pack"] == 7
    ((member,),) = [update["members"]]
    assert (member["trial_id"], member["attempt"], member["status"]) == ("t", 3, "unfit")
    assert member["message"] == "torch is 1; no data"
    assert not Path("/nowhere").exists()


def test_a_worker_asks_once_a_run(wanted, monkeypatch):
    calls = []
    monkeypatch.setattr(node_check, "examine", lambda *words: calls.append(words))
    node_check.examined.cache_clear()
    for token in ("a", "a", "b"):
        node_check.examined(json.dumps(wanted | {"token": token}), "node-1")
    assert len(calls) == 2


@pytest.fixture
def toy(tmp_path):
    """Return how the driver finds the toy, whose file all nodes share."""
    (tmp_path / "toy.py").write_text(TOY)
    reference = Reference("toy.py:TOY", str(tmp_path))
    return TrainerFound(says=reference.says, folder=reference.folder, code=find(reference).code())


def test_a_node_with_the_drivers_code_of_a_trainer_may_train(wanted, toy):
    assert examine(json.loads(json.dumps(wanted | {"trainers": {"toy": toy}})), "node-1").trouble == []


def test_other_code_of_a_trainer_is_told_with_both_hashes(wanted, toy, tmp_path):
    (tmp_path / "toy.py").write_text(TOY + "# more\n")
    (told,) = examine(wanted | {"trainers": {"toy": toy}}, "node-1").trouble
    assert "the code of trainer toy is " in told and f"the driver's is {toy['code'][:12]}" in told


def test_a_network_that_is_absent_or_another_is_told(wanted, tmp_path, results):
    """As a run of MAML over a network of one's own asks for it."""
    (tmp_path / "net.py").write_text("x = 1\n")
    (tmp_path / "nets.yaml").write_text(TINY.replace("channels: 4", 'network: "net.py:small"'))
    sweep = load(tmp_path / "nets.yaml")
    specs = expand(sweep)
    part = SurveyedSweep(sweep=sweep, experiment="tiny", specs=specs, survey=survey(results, specs))
    asked_for = required(Batch(parts=(part,), data={}), tmp_path, results, "0123abcd")["trainers"]
    assert list(asked_for) == ["network net.py:small"]
    of_network = json.loads(json.dumps(wanted | {"trainers": asked_for}))
    assert examine(of_network, "node-1").trouble == []
    (tmp_path / "net.py").write_text("x = 2\n")
    (told,) = examine(of_network, "node-1").trouble
    assert told.startswith("the code of network net.py:small is ") and "put the driver's files there" in told
    (tmp_path / "net.py").unlink()
    (told,) = examine(of_network, "node-1").trouble
    assert "the code of network net.py:small is not known there" in told


def test_a_trainer_that_is_not_there_is_told_and_its_data_is_not_looked_for(wanted, toy, tmp_path):
    (tmp_path / "toy.py").unlink()
    of_toy = {"trainers": {"toy": toy}, "data": {"digits": "0" * 64}, "owners": {"digits": "toy"}}
    (told,) = examine(wanted | of_toy, "node-1").trouble
    assert "toy.py" in told and "put the same file there" in told


def test_a_trainer_is_asked_for_its_own_data(wanted, toy, monkeypatch, tmp_path):
    trainer = find(Reference(toy["says"], toy["folder"]))
    monkeypatch.setattr(trainer, "prepare", lambda name, root: Data(name, Path(root, "digits.npy"), "1" * 64))
    of_toy = {"trainers": {"toy": toy}, "owners": {"digits": "toy"}}
    answer = examine(wanted | of_toy | {"data": {"digits": "1" * 64}}, "node-1")
    assert (answer.trouble, answer.arrays) == ([], {"digits": str(tmp_path / "nothing" / "digits.npy")})
    (told,) = examine(wanted | of_toy | {"data": {"digits": "2" * 64}}, "node-1").trouble
    assert "digits in " in told and "the driver's has 222222222222" in told


def test_a_pack_without_data_stays_as_it_is(assignment):
    without = assignment | {"data": {}}
    assert with_arrays(without, {}) == without
