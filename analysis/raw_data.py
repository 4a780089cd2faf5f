"""A sweep's raw data as files that other programs read, and from which a report is made again. Reads no store.

`data.csv.gz` has a row for each evaluation, head and number of inner steps: `trial_id`, `seed`, the sweep's axes,
`attempt`, `engine`, `device`, `pass` ("training" or "final"), `split`, `step` (outer steps), `head` at the start of the
adaptation, `inner_steps` before scoring, `episodes`, `accuracy` and `sd` (fractions; over episodes, ddof 1) and
`time_ms` (since 1970). An accuracy that was not scored is empty. `attempt`, `engine` and `device` are empty if the
trial's attempts differ in them.

`training.csv.gz` has the training curves: `trial_id`, `step`, `query_loss` (nats), `query_accuracy`, `time_ms`.
`probes.jsonl.gz` has a line of JSON for each probe, see `trainers.maml.probes.Probe`. `trials.jsonl.gz` has a line for
each trial: its config, its attempts and its other facts.

Of any other trainer than MAML there are two files, beside the others if the sweep has MAML too: `trials.jsonl.gz`, and
`readings.csv.gz` with a row for each number: `trial_id`, `seed`, the sweep's axes, `attempt`, `engine`, `device`,
`step`, `metric` (its name), `value` (as measured), `time_ms`.
"""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from analysis.contract.question import PlannedTrial
from analysis.contract.record import SCHEMA_VERSION, Evaluation, Reading, TrialRecord, passes
from analysis.errors import AnalysisError
from analysis.numbers.tidy import axis_column
from analysis.store import Loaded

DATA, TRAINING, PROBES, TRIALS = "data.csv.gz", "training.csv.gz", "probes.jsonl.gz", "trials.jsonl.gz"
READINGS = "readings.csv.gz"

MEASURED = ("attempt", "engine", "device", "pass", "split", "step", "head", "inner_steps", "episodes", "accuracy", "sd",
            "time_ms")  # fmt: skip
"""The columns of `data.csv.gz` after `trial_id`, `seed` and the axes."""
CURVE = ("step", "query_loss", "query_accuracy", "time_ms")
"""The columns of `training.csv.gz` after `trial_id`."""

READ = ("attempt", "engine", "device", "step", "metric", "value", "time_ms")
"""The columns of `readings.csv.gz` after `trial_id`, `seed` and the axes."""

_ELSEWHERE = ("training", "evaluations", "finals", "probes", "scores", "readings")


def files(plan: Sequence[PlannedTrial], loaded: Loaded) -> dict[str, bytes]:
    """Return the files of all planned trials that have a record, by name. The same records give the same bytes."""
    found = [(trial, loaded.records[trial.trial_id]) for trial in plan if trial.trial_id in loaded.records]
    trials = {TRIALS: _zipped(_lines(_facts(record, loaded.run_ids) for _, record in found))}
    read = [(trial, read_off(record)) for trial, record in found if "readings" in record]
    readings = {READINGS: _table(plan, READ, read)} if read else {}
    found = [(trial, record) for trial, record in found if "readings" not in record]
    if read and not found:
        return readings | trials
    return readings | {
        DATA: _table(plan, MEASURED, [(trial, measured(record)) for trial, record in found]),
        TRAINING: _zipped(_csv(["trial_id", *CURVE], (row for _, record in found for row in _curve(record)))),
        PROBES: _zipped(_lines({"trial_id": r["trial_id"]} | probe for _, r in found for probe in r["probes"])),
        **trials,
    }


def _table(
    plan: Sequence[PlannedTrial], columns: Sequence[str], rows: Iterable[tuple[PlannedTrial, Iterable[Sequence[Any]]]]
) -> bytes:
    """Return a CSV file of the rows of each trial, with its id, seed and labels before each row."""
    own = ("trial_id", "seed", *columns)
    heads = [*own[:2], *(axis_column(axis, own) for axis in plan[0].labels), *columns]
    every = ([trial.trial_id, trial.seed, *trial.labels.values(), *row] for trial, its_rows in rows for row in its_rows)
    return _zipped(_csv(heads, every))


def read_off(record: TrialRecord) -> Iterator[list[Any]]:
    """Yield the values of `READ` for each number of each reading."""
    shared = [shared_by_attempts(record, name) for name in ("attempt", "engine", "device")]
    for reading in record.get("readings", ()):
        for metric, value in reading["values"].items():
            yield [*shared, reading["step"], metric, value, reading["time_ms"]]


def measured(record: TrialRecord) -> Iterator[list[Any]]:
    """Yield the values of `MEASURED` for each evaluation, head and number of inner steps; None for what is empty."""
    shared = [shared_by_attempts(record, name) for name in ("attempt", "engine", "device")]
    training = len(record["evaluations"])
    for number, one in enumerate(passes(record)):
        which = "training" if number < training else "final"
        for head, accuracies in one["accuracy"].items():
            for inner_steps, (accuracy, sd) in enumerate(zip(accuracies, one["sd"][head], strict=True)):
                yield [
                    *shared, which, one["split"], one["step"], head, inner_steps, one["episodes"], accuracy, sd,
                    one["time_ms"],
                ]  # fmt: skip


def shared_by_attempts(record: TrialRecord, name: str) -> Any:
    """Return what all attempts of a trial have as `name`, None if they differ."""
    values = {attempt.get(name) for attempt in record["attempts"]}
    return values.pop() if len(values) == 1 else None


def _curve(record: TrialRecord) -> Iterator[list[Any]]:
    for row in trained(record):
        yield [record["trial_id"], *row]


def trained(record: TrialRecord) -> Iterator[tuple[int, float, float, int]]:
    """Yield the values of `CURVE` for each point of the training curve."""
    curve = record["training"]
    yield from zip(curve["step"], curve["query_loss"], curve["query_accuracy"], curve["time_ms"], strict=True)


def _facts(record: TrialRecord, run_ids: Mapping[str, str]) -> dict[str, Any]:
    facts: dict[str, Any] = {name: value for name, value in record.items() if name not in _ELSEWHERE}
    run_id = run_ids.get(record["trial_id"])
    return facts | ({} if run_id is None else {"run_id": run_id})


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)  # a float as its shortest text that reads back as itself
    return text.getvalue()


def _lines(objects: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(one, separators=(",", ":"), ensure_ascii=False) + "\n" for one in objects)


def _zipped(text: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0)


def load(folder: Path) -> Loaded:
    """Return the records in the files of `folder`; they lack the scores of single episodes.

    Raises AnalysisError if a file is absent, damaged, or of another version.
    """
    trials: list[Any] = []
    run_ids: dict[str, str] = {}
    with _understood(folder / TRIALS):
        for line in _text(folder / TRIALS).splitlines():
            facts = json.loads(line)
            trial_id = facts["trial_id"]
            if facts["schema"] != SCHEMA_VERSION:
                raise ValueError(f"trial {trial_id} has schema version {facts['schema']}, not {SCHEMA_VERSION}")
            if "run_id" in facts:
                run_ids[trial_id] = facts.pop("run_id")
            trials.append(facts)
        read = ["trainer" in facts for facts in trials]
    parts = _readings(folder) if any(read) else {}
    parts |= {} if read and all(read) else _parts_of_maml(folder)
    records: dict[str, TrialRecord] = {}
    for facts in trials:
        curve: dict[str, list[Any]] = {"step": [], "time_ms": [], "query_loss": [], "query_accuracy": []}
        empty: dict[str, Any] = {"training": curve, "evaluations": [], "probes": [], "scores": None}
        empty |= {"readings": []} if "trainer" in facts else {}
        records[facts["trial_id"]] = facts | empty | parts.get(facts["trial_id"], {})
    return Loaded(records=records, run_ids=run_ids, unreadable={})


def _parts_of_maml(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the measurements of each trial as its record has them; what is empty is absent."""
    parts: dict[str, dict[str, Any]] = {}
    with _understood(folder / DATA):
        for trial_id, kind, one in _evaluations(csv.DictReader(io.StringIO(_text(folder / DATA)))):
            part = "finals" if kind == "final" else "evaluations"
            parts.setdefault(trial_id, {}).setdefault(part, []).append(one)
    with _understood(folder / TRAINING):
        curves: dict[str, list[dict[str, str]]] = {}
        for row in csv.DictReader(io.StringIO(_text(folder / TRAINING))):
            curves.setdefault(row["trial_id"], []).append(row)
        for trial_id, curve in curves.items():
            parts.setdefault(trial_id, {})["training"] = {
                "step": [int(row["step"]) for row in curve],
                "time_ms": [int(row["time_ms"]) for row in curve],
                "query_loss": [float(row["query_loss"]) for row in curve],
                "query_accuracy": [float(row["query_accuracy"]) for row in curve],
            }
    with _understood(folder / PROBES):
        for line in _text(folder / PROBES).splitlines():
            probe = json.loads(line)
            parts.setdefault(probe.pop("trial_id"), {}).setdefault("probes", []).append(probe)
    return parts


def _readings(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the readings of each trial as its record has them."""
    parts: dict[str, dict[str, Any]] = {}
    with _understood(folder / READINGS):
        rows = csv.DictReader(io.StringIO(_text(folder / READINGS)))
        for (trial_id, step, time_ms), group in groupby(rows, key=lambda r: (r["trial_id"], r["step"], r["time_ms"])):
            values = {row["metric"]: _exact(row["value"]) for row in group}
            reading = Reading(step=int(step), time_ms=int(time_ms), values=values)
            parts.setdefault(trial_id, {}).setdefault("readings", []).append(reading)
    return parts


def _exact(text: str) -> float:
    """Return a number as it was written: a whole one stays a whole number."""
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text)


def _evaluations(rows: Iterable[dict[str, str]]) -> Iterator[tuple[str, str, Evaluation]]:
    """Yield each pass with its trial's id and its kind; the rows of one pass follow each other."""
    by_pass = groupby(rows, key=lambda row: (row["trial_id"], row["pass"], row["step"], row["split"], row["time_ms"]))
    for (trial_id, kind, step, split, time_ms), group in by_pass:
        accuracy: dict[Any, list[float | None]] = {}
        sd: dict[Any, list[float | None]] = {}
        episodes = 0
        for row in group:
            episodes = int(row["episodes"])
            accuracy.setdefault(row["head"], []).append(_number(row["accuracy"]))
            sd.setdefault(row["head"], []).append(_number(row["sd"]))
        if split not in ("val", "test"):
            raise ValueError(f"split {split!r}")
        yield trial_id, kind, {
            "step": int(step), "time_ms": int(time_ms), "split": split, "episodes": episodes, "accuracy": accuracy,
            "sd": sd,
        }  # fmt: skip


def _number(text: str) -> float | None:
    return float(text) if text else None


def _text(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode()


@contextmanager
def _understood(path: Path) -> Iterator[None]:
    """Turn what can be wrong with a file of raw data into an AnalysisError."""
    if not path.is_file():
        raise AnalysisError(
            f"{path} is absent; raw data has {DATA}, {TRAINING}, {PROBES} and {TRIALS}, or {READINGS} and {TRIALS}, "
            "which `sweeper report FILE --format data` writes"
        )
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error, ValueError, LookupError, TypeError, csv.Error) as error:
        reason = str(error) or type(error).__name__
        raise AnalysisError(f"{path} is damaged ({reason}); get a whole copy of it") from None
