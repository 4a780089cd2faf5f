"""The index says what the journals say, whatever happens to them or to it."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeper.results import index as index_module
from sweeper.results.index import summaries
from sweeper.results.journal import Journal
from sweeper.results.paths import Results
from sweeper.results.trial_summary import TrialSummary, read_summary
from tests.sweeper.played import begin, command, finish, reach, run
from tests.waiting import HANG_S

OPERATIONS = ("begin", "record", "end", "cut a line", "tear a line", "delete", "set aside")


def folded(results: Results) -> dict[str, TrialSummary]:
    """Return what every journal says, read without the index."""
    found = {path.parent.name: read_summary(path) for path in results.root.glob("trials/*/journal.jsonl")}
    return {trial_id: entry for trial_id, entry in found.items() if entry is not None}


def indexed(results: Results) -> dict[str, tuple]:
    with closing(sqlite3.connect(results.index)) as database:
        return dict(database.execute("SELECT trial_id, brief FROM briefs WHERE version = ?", (index_module.VERSION,)))


@pytest.fixture
def begun(results, specs):
    """Return the results folder with two trials finished, one interrupted, one new."""
    for spec in specs[:2]:
        finish(results, spec)
    finish(results, specs[2], status="interrupted", step=2, message="the run was stopped")
    return results


def no_reading(results: Results, monkeypatch: pytest.MonkeyPatch) -> dict[str, TrialSummary]:
    """Return the summaries while journals can't be read: what the index alone knows."""
    with monkeypatch.context() as patched:
        patched.setattr(index_module, "read_summary", lambda path: pytest.fail(f"{path} was read"))
        return summaries(results)


def change(results: Results, spec, operation: str) -> None:
    path = results.trial(spec.trial_id).journal
    if operation == "begin" or not path.exists():
        begin(results, spec)
    elif operation == "record":
        journal = Journal(path)
        reach(journal, len(path.read_bytes()) % 97 + 1)
    elif operation == "end":
        journal = Journal(path)
        journal.end(journal.attempts, "failed", step=1, message="ValueError: x")
    elif operation == "cut a line":
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    elif operation == "tear a line":
        path.write_bytes(path.read_bytes()[:-7])
    elif operation == "delete":
        path.unlink()
    else:
        shutil.rmtree(path.parent)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(OPERATIONS)), max_size=12))
def test_whatever_happens_to_the_journals_the_index_says_what_they_say(specs, changes):
    with tempfile.TemporaryDirectory() as folder:
        results = Results.at(Path(folder))
        for number, operation in changes:
            change(results, specs[number], operation)
            assert summaries(results) == folded(results)
            assert summaries(results) == folded(results)


def test_an_unchanged_journal_is_not_read_again_and_a_changed_one_is(begun, specs, monkeypatch):
    before = summaries(begun)
    assert no_reading(begun, monkeypatch) == before
    finish(begun, specs[2])
    assert summaries(begun)[specs[2].trial_id].status == "done"
    os.utime(begun.trial(specs[0].trial_id).journal)
    with pytest.raises(pytest.fail.Exception, match=specs[0].trial_id):
        no_reading(begun, monkeypatch)


def test_a_journal_of_another_size_is_read_again_even_if_its_time_is_the_same(begun, specs):
    summaries(begun)
    journal = begun.trial(specs[2].trial_id).journal
    before = journal.stat()
    finish(begun, specs[2])
    os.utime(journal, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert summaries(begun)[specs[2].trial_id].status == "done"


def test_a_trial_that_is_gone_leaves_the_index(begun, specs):
    summaries(begun)
    shutil.rmtree(begun.trial(specs[0].trial_id).folder)
    summaries(begun)
    assert indexed(begun).keys() == {specs[1].trial_id, specs[2].trial_id}


def scribble(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def overwrite_a_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    path.write_bytes(content)


def other_columns(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE briefs (trial_id TEXT PRIMARY KEY, version INTEGER)")


def statement(text: str):
    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(text)

    damage.__name__ = text
    return damage


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink, scribble, empty, cut, overwrite_a_page, other_columns, statement("DROP TABLE briefs"),
        statement("UPDATE briefs SET brief = '{'"), statement("UPDATE briefs SET brief = '[1, 2]'"),
        statement("UPDATE briefs SET brief = CAST(X'FF' AS TEXT)"), statement("UPDATE briefs SET brief = NULL"),
    ],
    ids=lambda damage: damage.__name__,
)  # fmt: skip
def test_a_damaged_index_loses_nothing_and_is_made_again(begun, damage, monkeypatch):
    before = summaries(begun)
    damage(begun.index)
    assert summaries(begun) == before == folded(begun)
    assert no_reading(begun, monkeypatch) == before


def test_entries_of_another_version_are_made_again(begun, monkeypatch):
    before = summaries(begun)
    statement("UPDATE briefs SET version = version - 1, brief = replace(brief, 'done', 'failed')")(begun.index)
    assert indexed(begun) == {}
    assert summaries(begun) == before
    assert indexed(begun).keys() == before.keys()
    assert no_reading(begun, monkeypatch) == before


def test_while_another_command_writes_the_journals_are_read(begun, specs, monkeypatch):
    monkeypatch.setattr(index_module, "BUSY_S", 0.05)
    summaries(begun)
    with closing(sqlite3.connect(begun.index, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        finish(begun, specs[3])
        assert summaries(begun) == folded(begun)
        other.execute("ROLLBACK")
    assert specs[3].trial_id not in indexed(begun)
    assert summaries(begun) == folded(begun)
    assert specs[3].trial_id in indexed(begun)


def test_where_no_index_can_be_written_nothing_but_time_is_lost(begun):
    begun.index.mkdir()
    assert summaries(begun) == folded(begun)
    assert begun.index.is_dir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into read-only folders too")
def test_a_read_only_folder_is_read(begun, specs):
    before = summaries(begun)
    finish(begun, specs[3])
    begun.root.chmod(0o555)
    begun.index.chmod(0o444)
    try:
        assert summaries(begun) == folded(begun) != before
    finally:
        begun.root.chmod(0o755)


def test_a_last_line_torn_by_a_crash_counts_for_nothing(begun, specs):
    before = summaries(begun)
    journal = begun.trial(specs[2].trial_id).journal
    with journal.open("a") as file:
        file.write('{"kind":"done","attempt":1,"time_ms":1,"st')
    assert summaries(begun) == before == folded(begun)


@pytest.mark.slow
def test_of_two_processes_at_once_both_are_right_and_the_index_too(begun, monkeypatch):
    code = (
        "import sys; from pathlib import Path\n"
        "from sweeper.results.index import summaries; from sweeper.results.paths import Results\n"
        "results = Results.at(Path(sys.argv[1]))\n"
        "for _ in range(20): summaries(results); results.index.unlink(missing_ok=True); found = summaries(results)\n"
        "print(*sorted(found))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, begun.root], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for process in processes:
        out, _ = process.communicate(timeout=HANG_S)
        assert process.returncode == 0
        assert out.split() == sorted(folded(begun))
    assert summaries(begun) == folded(begun)


@pytest.mark.slow
def test_a_run_leaves_the_index_up_to_date_and_no_command_says_another_thing_without_it(
    write_sweep, results, monkeypatch
):
    path = write_sweep()
    assert run(results, path, "--only", "seed=0").exit_code == 0
    assert no_reading(results, monkeypatch) == folded(results)
    commands = [
        (name, path, "--results", results.root, *more) for name in ("plan", "status") for more in ((), ("--json",))
    ]
    with_index = [command(*arguments).stdout for arguments in commands]
    for arguments, told in zip(commands, with_index, strict=True):
        results.index.unlink()
        assert command(*arguments).stdout == told
    assert json.loads(with_index[3])["done"] == 2
