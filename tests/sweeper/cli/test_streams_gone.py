"""Exit code 0 means that all is done, whatever becomes of standard output and standard error.

Every day each stream is lost and each way of losing one is tried; `make test-long` tries each stream in each way.
"""

import shutil

import pytest

from sweeper.planning.expand import expand
from sweeper.results.fold import fold
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load
from tests.budget import budget
from tests.sweeper.command import PATIENT, PROGRAM, sweeper
from tests.sweeper.tiny import trained_in

pytestmark = pytest.mark.slow

HOW = {
    "closed": "os.close({number})",
    "full": "os.dup2(os.open('/dev/full', os.O_WRONLY), {number})",
    "gone": "read, write = os.pipe(); os.close(read); os.dup2(write, {number})",
}
STREAMS = {"out": (1,), "err": (2,), "both": (1, 2)}
LOST = budget(
    [("both", "closed"), ("out", "full"), ("err", "gone")],
    [(streams, how) for streams in STREAMS for how in HOW],
)
INLINE = ("--executor", "inline", "--device", "cpu")


def program(streams: str, how: str) -> str:
    """Return `sweeper` with these of its streams closed, full or without a reader."""
    breaks = "\n".join(HOW[how].format(number=number) for number in STREAMS[streams])
    return f"import os\n{breaks}\n{PATIENT}"


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    folder = trained_in(tmp_path_factory.mktemp("once"))
    assert sweeper("export", "tiny.yaml", cwd=folder).code == 0
    return folder


@pytest.fixture
def trained(once, tmp_path):
    shutil.copytree(once, tmp_path, dirs_exist_ok=True)
    return tmp_path


def is_done(results: Results, folder) -> bool:
    journals = [results.trial(spec.trial_id).journal for spec in expand(load(folder / "tiny.yaml"))]
    return all(path.exists() and fold(path)["status"] == "done" for path in journals)


@pytest.mark.parametrize(("streams", "how"), LOST)
def test_what_changes_files_goes_on_without_a_view_and_ends_as_it_would(trained, streams, how):
    broken = program(streams, how)
    for words in (
        ("run", "tiny.yaml", *INLINE, "--results", "fresh", "--tracking-uri", "none", "--json"),
        ("run", "tiny.yaml", *INLINE, "--tracking-uri", "sqlite:///run.db"),
        ("sync", "tiny.yaml", "--tracking-uri", "sqlite:///sync.db"),
        ("import", "tiny.zip", "--results", "imported"),
        ("export", "tiny.yaml", "--out", "again.zip"),
        ("report", "tiny.yaml", "--tracking-uri", "sqlite:///sync.db", "--format", "csv", "--out", "report"),
    ):
        ended = sweeper(*words, cwd=trained, program=broken)
        prints = words[0] in ("export", "report") or "--json" in words
        assert ended.code == (4 if how == "full" and prints and streams != "err" else 0), (words, ended)
        assert "Traceback" not in ended.err, ended.err
        log = trained / "fresh" / "ray.log"
        assert "Traceback" not in log.read_text(), (words, log.read_text())
    assert is_done(Results.at(trained / "fresh"), trained)
    assert is_done(Results.at(trained / "imported"), trained)
    assert (trained / "again.zip").read_bytes() == (trained / "tiny.zip").read_bytes()
    assert sweeper("run", "tiny.yaml", "--tracking-uri", "sqlite:///sync.db", cwd=trained).code == 0
    for store in ("run.db", "sync.db"):
        assert shown(trained / store) == {"FINISHED": len(list((trained / "results" / "trials").iterdir()))}
    assert (trained / "report" / "table_1.csv").exists()


def shown(database) -> dict[str, int]:
    """Return how many runs of trials a store has in each state."""
    import sqlite3
    from contextlib import closing

    wanted = (
        "SELECT status, count(*) FROM runs JOIN tags USING (run_uuid) "
        "WHERE tags.key = 'sweeper.kind' AND tags.value = 'trial' GROUP BY status"
    )
    with closing(sqlite3.connect(database)) as store:
        return dict(store.execute(wanted).fetchall())


@pytest.mark.parametrize(("streams", "how"), LOST)
def test_a_trouble_keeps_its_exit_code(trained, streams, how):
    broken = program(streams, how)
    journal = next((trained / "results" / "trials").iterdir()) / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"{", b"[", 1))
    for words, code in (
        (("run", "absent.yaml"), 2),
        (("run", "--no-such-option"), 2),
        (("run", "tiny.yaml", *INLINE, "--tracking-uri", "none"), 3),
        (("import", "tiny.zip"), 3),
        (("export", "tiny.yaml", "--force"), 4),
        (("sync", "tiny.yaml", "--tracking-uri", "sqlite:///sync.db"), 4),
        (("doctor", "--tracking-uri", "none"), 1),
    ):
        full = how == "full" and streams != "err" and words[0] == "doctor"
        assert sweeper(*words, cwd=trained, program=broken).code == (4 if full else code), words


@pytest.mark.parametrize(("streams", "how"), LOST)
def test_what_prints_says_by_its_exit_code_whether_it_could(trained, streams, how):
    broken = program(streams, how)
    unprinted = how == "full" and streams != "err"
    prints = ("status tiny.yaml", "schema", "init own.yaml", "data list", "data get strokes")
    for words in (*prints, "stop absent", "data remove absent"):
        ended = sweeper(*words.split(), cwd=trained, program=broken)
        assert ended.code == (2 if words not in prints else 4 if unprinted else 0), (words, ended)
        assert "Traceback" not in ended.err, ended.err
    assert (trained / "own.yaml").exists()


ONE_CLAIM = """
import types
import sweeper.cli.theory as shown
from trainers.maml.theory import examine
from trainers.maml.theory.claim import Claim
def one(setting): yield Claim(statement="one", source="nobody", computed="its error", error=ERROR, bound=0.5)
shown._settings = lambda data: [types.SimpleNamespace(name="nothing")]
examine.CHECKS, examine.CHECKS_ONCE = (one,), ()
"""
"""In the place of minutes of claims."""


@pytest.mark.parametrize(("streams", "how"), LOST)
def test_theory_says_by_its_exit_code_whether_it_could_print_and_whether_all_is_as_expected(tmp_path, streams, how):
    unprinted = how == "full" and streams != "err"
    for error, code in (("0.1", 0), ("0.9", 1)):
        for option in ((), ("--json",), ("--markdown",)):
            broken = ONE_CLAIM.replace("ERROR", error) + program(streams, how)
            ended = sweeper("theory", *option, cwd=tmp_path, program=broken)
            assert ended.code == (4 if unprinted else code), (option, ended)
            assert "Traceback" not in ended.err, ended.err


@pytest.mark.parametrize("words", ["plan tiny.yaml", "logs ID", "--help", "run --help", "--version"])
def test_a_reader_that_leaves_ends_what_only_prints_quietly(trained, words):
    trial_id = next((trained / "results" / "trials").iterdir()).name
    ended = sweeper(*words.replace("ID", trial_id).split(), cwd=trained, program=program("out", "gone"))
    assert (ended.code, ended.err) == (0, "")


def test_an_error_of_something_else_that_is_gone_is_no_success(trained):
    """A store's connection, for example."""
    fault = "def gone(*words): raise BrokenPipeError(32, 'Broken pipe')"
    broken = f"import sweeper.cli.plan as plan\n{fault}\nassert plan.planned\nplan.planned = gone\n{PROGRAM}"
    ended = sweeper("plan", "tiny.yaml", cwd=trained, program=broken)
    assert ended.code == 4 and "Traceback" not in ended.err
