"""A sweep's raw data as files that other programs read, and from which a report is made again. Reads no store.

`data.csv.gz` has a row for each evaluation, head and number of inner steps: `trial_id`, `seed`, the sweep's axes,
`attempt`, `engine`, `device`, `pass` ("training" or "final"), `split`, `step` (outer steps), `head` at the start of the
adaptation, `inner_steps` before scoring, `episodes`, `accuracy` and `sd` (fractions; over episodes, ddof 1) and
`time_ms` (since 1970). An accuracy that was not scored is empty. `attempt`, `engine` and `device` are empty if the
trial's attempts differ in them.

`training.csv.gz` has the training curves: `trial_id`, `step`, `query_loss` (nats), `query_accuracy`, `time_ms`.
`probes.jsonl.gz` has a line of JSON for each probe, see `trainers.maml.probes.Probe`. `trials.jsonl.gz` has a line for
each trial: its config, its attempts and its other facts.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from analysis.contract.question import PlannedTrial
from analysis.contract.record import SCHEMA_VERSION, Evaluation, TrialRecord, passes
from analysis.errors import AnalysisError
from analysis.numbers.tidy import axis_column
from analysis.store import Loaded

DATA, TRAINING, PROBES, TRIALS = "data.csv.gz", "training.csv.gz", "probes.jsonl.gz", "trials.jsonl.gz"

MEASURED = ("attempt", "engine", "device", "pass", "split", "step", "head", "inner_steps", "episodes", "accuracy", "sd",
            "time_ms")  # fmt: skip
"""The columns of `data.csv.gz` after `trial_id`, `seed` and the axes."""
CURVE = ("step", "query_loss", "query_accuracy", "time_ms")
"""The columns of `training.csv.gz` after `trial_id`."""

_OWN = ("trial_id", "seed", *MEASURED)
_ELSEWHERE = ("training", "evaluations", "finals", "probes", "scores")


def files(plan: Sequence[PlannedTrial], loaded: Loaded) -> dict[str, bytes]:
    """Return the files of all planned trials that have a record, by name. The same records give the same bytes."""
    found = [(trial, loaded.records[trial.trial_id]) for trial in plan if trial.trial_id in loaded.records]
    axes = list(plan[0].labels)
    columns = [*_OWN[:2], *(axis_column(axis, _OWN) for axis in axes), *_OWN[2:]]
    return {
        DATA: _zipped(_csv(columns, (row for trial, record in found for row in _rows(trial, record)))),
        TRAINING: _zipped(_csv(["trial_id", *CURVE], (row for _, record in found for row in _curve(record)))),
        PROBES: _zipped(_lines({"trial_id": r["trial_id"]} | probe for _, r in found for probe in r["probes"])),
        TRIALS: _zipped(_lines(_facts(record, loaded.run_ids) for _, record in found)),
    }


def _rows(trial: PlannedTrial, record: TrialRecord) -> Iterator[list[Any]]:
    for row in measured(record):
        yield [record["trial_id"], record["seed"], *trial.labels.values(), *row]


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
    evaluations: dict[str, list[Evaluation]] = {}
    finals: dict[str, list[Evaluation]] = {}
    with _understood(folder / DATA):
        for trial_id, kind, one in _evaluations(csv.DictReader(io.StringIO(_text(folder / DATA)))):
            (finals if kind == "final" else evaluations).setdefault(trial_id, []).append(one)
    curves: dict[str, list[dict[str, str]]] = {}
    with _understood(folder / TRAINING):
        for row in csv.DictReader(io.StringIO(_text(folder / TRAINING))):
            curves.setdefault(row["trial_id"], []).append(row)
    probes: dict[str, list[dict[str, Any]]] = {}
    with _understood(folder / PROBES):
        for line in _text(folder / PROBES).splitlines():
            probe = json.loads(line)
            probes.setdefault(probe.pop("trial_id"), []).append(probe)
    records: dict[str, TrialRecord] = {}
    run_ids: dict[str, str] = {}
    with _understood(folder / TRIALS):
        for line in _text(folder / TRIALS).splitlines():
            facts = json.loads(line)
            trial_id = facts["trial_id"]
            if facts["schema"] != SCHEMA_VERSION:
                raise ValueError(f"trial {trial_id} has schema version {facts['schema']}, not {SCHEMA_VERSION}")
            if "run_id" in facts:
                run_ids[trial_id] = facts.pop("run_id")
            curve = curves.get(trial_id, [])
            records[trial_id] = facts | {
                "training": {
                    "step": [int(row["step"]) for row in curve],
                    "time_ms": [int(row["time_ms"]) for row in curve],
                    "query_loss": [float(row["query_loss"]) for row in curve],
                    "query_accuracy": [float(row["query_accuracy"]) for row in curve],
                },
                "evaluations": evaluations.get(trial_id, []),
                **({"finals": finals[trial_id]} if trial_id in finals else {}),
                "probes": probes.get(trial_id, []),
                "scores": None,
            }
    return Loaded(records=records, run_ids=run_ids, unreadable={})


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
            f"{path} is absent; raw data has {DATA}, {TRAINING}, {PROBES} and {TRIALS}, which `sweeper report FILE "
            "--format data` writes"
        )
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error, ValueError, LookupError, TypeError, csv.Error) as error:
        reason = str(error) or type(error).__name__
        raise AnalysisError(f"{path} is damaged ({reason}); get a whole copy of it") from None
