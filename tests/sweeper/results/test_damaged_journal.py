"""One journal that can't be believed stops no other trial, is counted and named, and is never trained over."""

import json
import re

import pytest

from analysis.contract.lifecycle import STATES
from sweeper.results import index
from sweeper.results.fold import fold
from sweeper.results.index import summaries
from sweeper.results.journal_lines import DamagedJournalError, JournalError, NewerJournalError
from sweeper.results.survey import survey
from sweeper.results.trial_summary import read_summary
from sweeper.running.batch import pending
from tests.sweeper.played import begin, command, finish, reach, run
from trainers.maml.trainer import MAML


def lines_of(path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def scribble_a_line(path):
    first, second, *rest = lines_of(path)
    path.write_bytes(b"".join([first, b"\0" * len(second[:-1]) + b"\n", *rest]))


def replace(old: bytes, new: bytes):
    def damage(path):
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new, 1))

    return damage


def drop_the_first_line(path):
    path.write_bytes(b"".join(lines_of(path)[1:]))


def add(line: bytes):
    def damage(path):
        path.write_bytes(path.read_bytes() + line + b"\n")

    return damage


DAMAGED = {
    "zeros": (scribble_a_line, r":2 is not a line of a journal"),
    "no object": (add(b"5"), r":4 is not a line of a journal"),
    "endless": (add(b"[" * 100_000), r":4 is not a line of a journal"),
    "no kind": (replace(b'"kind":"record"', b'"kinb":"record"'), r":2 is not a line of a journal"),
    "another kind": (replace(b'"kind":"record"', b'"kind":"recorf"'), r":2 is not a line of a journal"),
    "a kind that is a list": (replace(b'"kind":"record"', b'"kind":["record"]'), r", line 2: "),
    "no first line": (drop_the_first_line, r", line 1: doesn't open an attempt"),
    "no step": (replace(b'"step":4,"key"', b'"stap":4,"key"'), r", line 2: record.step: Field required"),
    "a step of text": (replace(b'"step":4,"message"', b'"step":"4","message"'), r", line 3: done.step: "),
    "no digest": (replace(b'"digest":', b'"tigest":'), r", line 1: attempt.digest: Field required"),
    "a value of text": (replace(b'"value":{', b'"value":"x","was":{'), r", line 2: record.value: "),
    "a config of text": (replace(b'"config":{', b'"config":"x","was":{'), r", line 1: attempt.config: "),
    "a form of text": (replace(b'"form":1', b'"form":"1"'), r" has form '1' at line 1"),
}
NEWER = {
    "a later form": (replace(b'"form":1', b'"form":3'), r" has form 3 at line 1"),
    "a field": (replace(b'"config":{', b'"config":{"momentum":0.9,'), r"doesn't know \(momentum: unknown field\)"),
    "a choice": (replace(b'"algorithm":"maml"', b'"algorithm":"newest"'), r"doesn't know \(algorithm: .*'newest'"),
}


@pytest.fixture
def whole(results, specs):
    """Return a results folder in which every trial but the last is done."""
    for spec in specs[:3]:
        finish(results, spec)
    return results


def damaged(results, spec, damage) -> bytes:
    path = results.trial(spec.trial_id).journal
    damage(path)
    return path.read_bytes()


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_journal_says_where_and_what_to_do(whole, specs, name):
    damage, where = DAMAGED[name]
    damaged(whole, specs[0], damage)
    path = whole.trial(specs[0].trial_id).journal
    entry = read_summary(path)
    assert (entry.trial_id, entry.status) == (specs[0].trial_id, "failed")
    newer = name == "a form of text"
    begins = "its journal is from a newer sweeper: " if newer else "its journal is damaged: "
    assert re.match(rf"{begins}{re.escape(str(path))}{where}", entry.trouble), entry.trouble
    if newer:
        assert f"set it aside and train again with --rerun {specs[0].trial_id}, or move" in entry.trouble
    else:
        assert f"go on from there with `sweeper run FILE --mend {specs[0].trial_id}`" in entry.trouble
        assert re.search(r"; lines? \d( to \d)? (is|are) lost", entry.trouble), entry.trouble
    assert entry.damaged != newer
    assert "\n" not in entry.trouble


@pytest.mark.parametrize("name", NEWER)
def test_a_newer_journal_names_the_trial_the_field_and_what_to_do(whole, specs, name):
    damage, where = NEWER[name]
    damaged(whole, specs[0], damage)
    told = read_summary(whole.trial(specs[0].trial_id).journal).trouble
    assert told.startswith("its journal is from a newer sweeper: ")
    assert re.search(where, told), told
    assert f"update sweeper, or set it aside and train again with --rerun {specs[0].trial_id}" in told


@pytest.mark.parametrize("name", sorted(DAMAGED.keys() - {"no digest", "a config of text"}))
def test_whoever_reads_one_whole_is_told_too(whole, specs, name):
    damaged(whole, specs[0], DAMAGED[name][0])
    with pytest.raises(JournalError, match=specs[0].trial_id) as told:
        fold(whole.trial(specs[0].trial_id).journal)
    assert isinstance(told.value, DamagedJournalError if name != "a form of text" else NewerJournalError)
    assert told.value.exit_code == 4


@pytest.mark.parametrize("damage", [scribble_a_line, NEWER["a field"][0]], ids=["damaged", "newer"])
def test_plan_and_status_show_it_as_failed_and_their_sums_hold(whole, specs, write_sweep, damage):
    before = damaged(whole, specs[1], damage)
    for _ in range(2):  # the second asks the index
        status = command("status", write_sweep(), "--results", whole.root, "--json")
        assert status.exit_code == 0, status.output
        found = json.loads(status.stdout)
        assert (found["planned"], found["done"], found["failed"], found["new"]) == (4, 2, 1, 1)
        assert found["planned"] == sum(found[state] for state in STATES)
    for name in ("plan", "status"):
        asked = command(name, write_sweep(), "--results", whole.root)
        assert asked.exit_code == 0
        (line,) = [line for line in asked.stdout.splitlines() if "its journal is" in line]
        assert line.startswith(specs[1].trial_id)
    assert whole.trial(specs[1].trial_id).journal.read_bytes() == before


def test_only_journals_in_trouble_are_read_again_so_that_an_update_helps_at_once(whole, specs, monkeypatch):
    damaged(whole, specs[1], NEWER["a field"][0])
    assert summaries(whole)[specs[1].trial_id].trouble
    with monkeypatch.context() as patched:
        patched.setattr(MAML, "resolve", lambda values: specs[1].config)
        patched.setattr(index, "read_summary", lambda path: read_only(path, specs[1].trial_id))
        assert summaries(whole)[specs[1].trial_id].status == "done"


def read_only(path, trial_id):
    assert path.parent.name == trial_id
    return read_summary(path)


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--retry-failed"]])
@pytest.mark.parametrize("damage", [scribble_a_line, NEWER["a field"][0]], ids=["damaged", "newer"])
def test_a_run_trains_the_others_and_leaves_it_as_it_is(whole, specs, write_sweep, damage, options):
    before = damaged(whole, specs[1], damage)
    ended = run(whole, write_sweep(), *options)
    assert ended.exit_code == 3, ended.output
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith(specs[1].trial_id)]
    assert "its journal is" in line
    assert fold(whole.trial(specs[3].trial_id).journal)["status"] == "done"
    assert whole.trial(specs[1].trial_id).journal.read_bytes() == before


@pytest.mark.slow
def test_rerun_puts_it_aside_and_trains_anew(whole, specs, write_sweep):
    before = damaged(whole, specs[1], scribble_a_line)
    ended = run(whole, write_sweep(), "--rerun", specs[1].trial_id, "--yes")
    assert ended.exit_code == 0, ended.output
    assert fold(whole.trial(specs[1].trial_id).journal)["status"] == "done"
    assert (whole.superseded(specs[1].trial_id, 1) / "journal.jsonl").read_bytes() == before


def test_damage_that_comes_after_the_plan_stops_only_its_trial(whole, specs, write_sweep, monkeypatch):
    reach(begin(whole, specs[3]), 2)
    todo = pending(survey(whole, specs).standings, retry_failed=False)
    assert [spec.trial_id for spec in todo] == [specs[3].trial_id]
    damaged(whole, specs[3], scribble_a_line)
    monkeypatch.setattr("sweeper.running.todo.pending", lambda standings, retry_failed: todo)
    ended = run(whole, write_sweep())
    assert ended.exit_code == 3, ended.output
    assert "its journal is damaged" in ended.stderr
