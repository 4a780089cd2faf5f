"""The orchestrator keeps its promises for any trainer: identity, resume to the bit, growth, packs, store and archive.

Each test runs with a function of twenty lines and with a program, in processes that can't import `trainers.maml`. In
`make test-long` it runs with MAML too, which the other tests of the orchestrator train every day, and all of them in
workers of Ray, as test_kill_plugs does every day.
"""

import csv
import json
import signal
import time
from pathlib import Path

import pytest

from sweeper.results.journal_lines import read_lines
from sweeper.results.paths import Results
from tests.budget import LONG, budget
from tests.chaos.ending import journalled as records
from tests.seam.three import CASES, Case
from tests.sweeper.command import start
from tests.waiting import HANG_S

pytestmark = pytest.mark.slow

INLINE = ("--executor", "inline", "--device", "cpu", "--tracking-uri", "none")
TABLES = ("--format", "csv")
"""A report without figures, which take most of its time."""
HASTY = """
import functools, sweeper.running.session, sweeper.worker.work
sweeper.worker.work.CHECKPOINT_EVERY_S = 0.0
sweeper.running.session.Worker = functools.partial(sweeper.running.session.Worker, chunk_s=0.0)
from sweeper.cli import main
main()
"""


@pytest.fixture(params=budget([name for name in CASES if name != "maml"], list(CASES)), scope="module")
def case(request) -> Case:
    return CASES[request.param]


@pytest.fixture(scope="module")
def trained(case, tmp_path_factory) -> Path:
    """The sweep, run once by nobody disturbed."""
    folder = tmp_path_factory.mktemp("trained")
    case.write(folder)
    ended = case.run(folder, "run", "tiny.yaml", *INLINE)
    assert ended.code == 0, ended.err
    return folder


def ids_and_states(case: Case, folder: Path, *more: str) -> dict[str, str]:
    ended = case.run(folder, "plan", "tiny.yaml", "--json", *more)
    assert ended.code == 0, ended.err
    return {trial["trial_id"]: trial["state"] for trial in json.loads(ended.out)["trials"]}


def test_a_plan_names_the_trials_before_and_after(case, trained, tmp_path) -> None:
    case.write(tmp_path)
    before, after = ids_and_states(case, tmp_path), ids_and_states(case, trained)
    assert before.keys() == after.keys() == records(Results.at(trained / "results")).keys() and len(before) == 4
    assert set(before.values()) == {"new"} and set(after.values()) == {"done"}
    again = case.run(trained, "run", "tiny.yaml", *INLINE)
    assert again.code == 0 and "0 to run" in again.err


def test_a_kill_at_any_moment_costs_no_bit(case, trained, tmp_path) -> None:
    case.write(tmp_path)
    results = Results.at(tmp_path / "results")
    for kill in range(3):
        known = len(list(results.root.glob("trials/*/a*/step-*")))
        process = start(["run", "tiny.yaml", *INLINE], tmp_path, program=HASTY, **case.place(tmp_path))
        deadline = time.monotonic() + HANG_S
        while process.poll() is None and time.monotonic() < deadline:
            if kill and len(list(results.root.glob("trials/*/a*/step-*"))) > known:
                break
            if not kill and results.root.exists():
                break
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=HANG_S)
    ended = case.run(tmp_path, "run", "tiny.yaml", *INLINE)
    assert ended.code == 0, ended.err
    assert records(results) == records(Results.at(trained / "results"))


def test_a_longer_target_goes_on_to_the_bits_of_one_training(case, trained, tmp_path) -> None:
    case.write(tmp_path, 2)
    assert case.run(tmp_path, "run", "tiny.yaml", *INLINE).code == 0
    first = ids_and_states(case, tmp_path)
    case.write(tmp_path)
    assert ids_and_states(case, tmp_path) == dict.fromkeys(first, "interrupted")
    ended = case.run(tmp_path, "run", "tiny.yaml", *INLINE)
    assert ended.code == 0, ended.err
    grown, at_once = records(Results.at(tmp_path / "results")), records(Results.at(trained / "results"))
    assert grown.keys() == at_once.keys()
    for trial_id, expected in at_once.items():
        assert set(expected) <= set(grown[trial_id])  # MAML also evaluates at the end of the first target
    begun = [line for path in (tmp_path / "results/trials").glob("*/journal.jsonl") for line in read_lines(path)]
    assert [line["attempt"] for line in begun if line["kind"] == "done"].count(2) == 4


def test_packs_and_ray_give_the_same_records(case, trained, tmp_path) -> None:
    case.write(tmp_path)
    by_ray = ("--workers", "1", "--device", "cpu", "--tracking-uri", "none")
    ended = case.run(tmp_path, "run", "tiny.yaml", "--pack", "2", *(by_ray if LONG else INLINE))
    assert ended.code == 0, ended.err
    assert records(Results.at(tmp_path / "results")) == records(Results.at(trained / "results"))


def table(folder: Path) -> list[dict[str, str]]:
    with next(folder.glob("**/table_1.csv")).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_without_the_code_of_the_trainer_what_is_done_is_planned_shown_reported_and_carried_along(
    case, trained, tmp_path
) -> None:
    """Status, plan, sync, report, export and import ask the results folder what it knows of the trainer."""
    store = ("--tracking-uri", f"sqlite:///{tmp_path / 'store.db'}")
    assert case.run(trained, "sync", "tiny.yaml", *store).code == 0
    assert case.run(trained, "report", "tiny.yaml", *store, *TABLES, "--out", tmp_path / "first").code == 0
    hidden = {name: (trained / name).rename(trained / f"{name}.away") for name in case.files}
    try:
        assert set(ids_and_states(case, trained).values()) == {"done"}
        assert case.run(trained, "status", "tiny.yaml").code == 0
        again = case.run(trained, "report", "tiny.yaml", *store, "--out", tmp_path / "second")
        assert again.code == 0, again.err
        assert table(tmp_path / "first") == table(tmp_path / "second") != []
        archive = tmp_path / "tiny.tar.gz"
        ended = case.run(trained, "export", "tiny.yaml", "--out", archive)
        assert ended.code == 0, ended.err
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        case.write(elsewhere)
        for name in case.files:
            (elsewhere / name).unlink()
        ended = case.run(elsewhere, "import", archive)
        assert ended.code == 0, ended.err
        assert set(ids_and_states(case, elsewhere).values()) == {"done"}
        other = ("--tracking-uri", f"sqlite:///{tmp_path / 'other.db'}")
        ended = case.run(elsewhere, "sync", "tiny.yaml", *other)
        assert ended.code == 0, ended.err
        assert case.run(elsewhere, "report", "tiny.yaml", *other, *TABLES, "--out", tmp_path / "third").code == 0
        assert table(tmp_path / "third") == table(tmp_path / "first")
    finally:
        for name, path in hidden.items():
            path.rename(trained / name)


def test_a_code_that_changed_is_said_and_nothing_is_mixed(case, tmp_path) -> None:
    if not case.files:
        pytest.skip("MAML's numbers are told apart by its recipe, which is in the identity")
    case.write(tmp_path, 2)
    assert case.run(tmp_path, "run", "tiny.yaml", *INLINE).code == 0
    (name,) = case.files
    (tmp_path / name).write_text(case.files[name] + "\n# another version\n")
    assert "code changed" in case.run(tmp_path, "plan", "tiny.yaml").out
    case.write(tmp_path)
    (tmp_path / name).write_text(case.files[name] + "\n# another version\n")
    refused = case.run(tmp_path, "run", "tiny.yaml", *INLINE)
    assert refused.code == 2 and "--accept-code" in refused.err and "--rerun" in refused.err
    accepted = case.run(tmp_path, "run", "tiny.yaml", *INLINE, "--accept-code")
    assert accepted.code == 0, accepted.err
    assert "code changed" not in case.run(tmp_path, "plan", "tiny.yaml").out
