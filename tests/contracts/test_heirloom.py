"""What an earlier version left is planned, continued, synced, imported and reported as that version would have done.

`heirloom/README.md` says how the files were made. Numbers of a training that goes on agree to rounding, since another
kind of CPU rounds otherwise; all that was on disk agrees to the letter.
"""

import csv
import json
import os
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sweeper.cli import main

HEIRLOOM = Path(__file__).parent / "heirloom"
MADE_IN = "/tmp/heir/results"
"""Where the folder stood when it was made; its store names its artefacts there."""

pytestmark = pytest.mark.slow


def command(*words: str) -> str:
    """Run a command of sweeper in this process and return its standard output."""
    ended = CliRunner().invoke(main, list(words), catch_exceptions=False)
    assert ended.exit_code in (0, 3), ended.output  # 3: three of the trials diverge
    return ended.stdout


FILTERED = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
"""Python before 3.11.4 has no filters, and Python 3.12 and later ask for one."""


def unpack(folder: Path) -> None:
    """Put the sweep file and the results folder of the earlier version into `folder`."""
    (folder / "heirloom.yaml").write_bytes((HEIRLOOM / "heirloom.yaml").read_bytes())
    with tarfile.open(HEIRLOOM / "results.tar.gz") as archive:
        archive.extractall(folder, **FILTERED)
    with closing(sqlite3.connect(folder / "results/mlflow.db")) as store, store:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            store.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (MADE_IN, str(folder / "results")))


def planned(profile: str = "") -> list[dict[str, Any]]:
    plan = json.loads(command("plan", "heirloom.yaml", "--json", *(["--profile", profile] if profile else [])))
    kept = ("trial_id", "point", "cell", "labels", "seed", "target", "state", "config")
    return [{name: trial[name] for name in kept} for trial in plan["trials"]]


def tables(folder: Path) -> dict[str, list[dict[str, str]]]:
    """Return the rows of each CSV of a report, of claims and tables alike; ids of MLflow's runs are drawn."""
    found = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="") as opened:
            rows = list(csv.DictReader(opened))
        found[path.name] = [{name: cell for name, cell in row.items() if name != "run_ids"} for row in rows]
    return found


def shown(results: Path) -> dict[str, dict[str, Any]]:
    """Return parameters, tags and every point that the tracking store shows, by experiment and trial or cell."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{results / 'mlflow.db'}")
    found = {}
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            tags = {name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")}
            if tags["sweeper.kind"] == "sweep":  # of the whole sweep; the earlier version had none
                continue
            trial = tags.get("trial_id")  # a cell's point has the time of its sync
            points = {
                key: sorted(
                    [point.step, point.timestamp if trial else 0, point.value]
                    for point in client.get_metric_history(run.info.run_id, key)
                )
                for key in run.data.metrics
            }
            since = min(time for key in points.values() for _, time, _ in key)  # a trial trained again has two runs
            who = f"{experiment.name} {trial or tags['cell']} {since}"
            assert who not in found, f"shown twice: {who}"
            found[who] = {"status": run.info.status, "params": run.data.params, "tags": tags, "metrics": points}
    return found


def journalled(results: Path) -> dict[str, list[list[Any]]]:
    """Return the records of every journal: attempt, step, key, value."""
    found = {}
    for path in sorted(results.glob("trials/*/journal.jsonl")):
        lines = map(json.loads, path.read_text().splitlines())
        found[path.parent.name] = [
            [line["attempt"], line["step"], line["key"], line["value"]] for line in lines if line["kind"] == "record"
        ]
    return found


def gathered(folder: Path) -> dict[str, Any]:
    """Do with the earlier version's results what a user would, in `folder`, and return all that came of it."""
    os.chdir(folder)
    unpack(folder)
    results = folder / "results"
    here = ("--executor", "inline", "--device", "cpu")
    found: dict[str, Any] = {"plan": planned(), "stopped": planned("stopped"), "longer": planned("longer")}
    command("sync", "heirloom.yaml")
    found["shown"] = shown(results)
    command("report", "heirloom.yaml", "--format", "csv", "--out", "report")
    found["report"] = tables(folder / "report")
    command("import", str(HEIRLOOM / "heirloom.zip"), "--results", "imported")
    found["imported"] = journalled(folder / "imported")
    command("sync", "heirloom.yaml", "--results", "imported")
    found["imported_shown"] = shown(folder / "imported")
    command("run", "heirloom.yaml", "--profile", "longer", *here)
    command("run", "heirloom.yaml", "--profile", "resumed", *here)
    found["continued"] = journalled(results)
    command("sync", "heirloom.yaml", "--profile", "longer")
    command("report", "heirloom.yaml", "--profile", "longer", "--format", "csv", "--out", "longer")
    found["continued_report"] = tables(folder / "longer")
    return found


def changed(was: Any, now: Any, tolerance: float, place: str = "") -> list[str]:
    """Return where `now` lacks something of `was` or has another value; what was added since is no change."""
    if isinstance(was, dict) and isinstance(now, dict):
        lost = [f"{place}/{name}: gone" for name in was if name not in now]
        return lost + [
            one for name in was if name in now for one in changed(was[name], now[name], tolerance, f"{place}/{name}")
        ]
    if isinstance(was, list) and isinstance(now, list):
        if len(was) != len(now):
            return [f"{place}: {len(was)} entries are {len(now)}"]
        pairs = enumerate(zip(was, now, strict=True))
        return [one for number, (a, b) in pairs for one in changed(a, b, tolerance, f"{place}/{number}")]
    if was == now or (tolerance and _number(was) == pytest.approx(_number(now), rel=tolerance, abs=tolerance)):
        return []
    return [f"{place}: {was!r} is {now!r}"]


def _number(value: Any) -> float:
    """Return a number, or the number that a text is; not a number equals nothing."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(Path.cwd())  # so that leaving brings us back
        return json.loads(json.dumps(gathered(tmp_path_factory.mktemp("heirloom"))))


EXPECTED = json.loads((HEIRLOOM / "expected.json").read_text())


@pytest.mark.parametrize("what", EXPECTED)
def test_what_an_earlier_version_left_is_what_it_was(what, today):
    tolerance = 1e-9 if what.startswith("continued") else 0.0
    assert changed(EXPECTED[what], today[what], tolerance) == []


def test_a_lost_key_a_changed_value_and_a_missing_record_are_changes():
    assert changed({"a": 1}, {"a": 1, "b": 2}, 0.0) == []
    assert changed({"a": 1}, {}, 0.0) == ["/a: gone"]
    assert changed({"a": ["0.5"]}, {"a": ["0.5000001"]}, 1e-9) == ["/a/0: '0.5' is '0.5000001'"]
    assert changed([1.0], [1.0 + 1e-12], 1e-9) == []
    assert changed([1.0], [1.0 + 1e-12], 0.0) == ["/0: 1.0 is 1.000000000001"]
    assert changed([1], [1, 2], 0.0) == [": 1 entries are 2"]
