"""Folds the lines of a whole journal into the record of its trial. Writes nothing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from analysis.contract.lifecycle import ENDS, after_line
from analysis.contract.record import SCHEMA_VERSION, Reading, Training, TrialRecord
from sweeper.results.damage import damage_of
from sweeper.results.journal_lines import (
    FORM_OF_OTHERS,
    DamagedJournalError,
    Line,
    counting,
    form_of,
    read_lines,
)
from sweeper.results.locks import holder_of
from sweeper.results.paths import Results, TrialPaths
from trainers.trainer import READINGS


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Turn an error caused by a malformed line into a DamagedJournalError that says which line, and what is lost.

    Lines are not all checked before they are used, because a results folder has thousands of journals.
    """
    try:
        yield
    except (DamagedJournalError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        damage = damage_of(TrialPaths(path.parent))
        if damage is None:
            raise DamagedJournalError(path, " can't be read") from None
        raise DamagedJournalError(path, damage.fault, damage.lost) from None


def fold(path: Path) -> TrialRecord | None:
    """Return the record of the trial whose journal is at `path`, or None if the journal holds no attempt.

    An attempt without an end is "running": the journal can't know whether a process still holds the trial's lock.
    Of a training that began again, only what it measured since then counts.
    Raises JournalError if the journal is damaged.
    """
    with understood(path):
        return fold_lines(list(read_lines(path)))


def fold_lines(lines: Sequence[Line]) -> TrialRecord | None:
    """Return the record of a journal's `lines`; see `fold`. Malformed lines raise any error; see `understood`."""
    if not lines:
        return None
    status, opened = after_line("new", lines[0]["kind"]), lines[0]["attempt"]
    for line in lines[1:]:
        status = after_line(status, line["kind"])
        if line["kind"] == "attempt":
            opened = max(opened, line["attempt"])
        elif line["attempt"] > opened:
            raise LookupError("the line that opens an attempt is missing")
    attempts = [line for line in lines if line["kind"] == "attempt"]
    newest = attempts[-1]
    last = lines[-1]
    lines = counting(lines)
    records: dict[tuple[int, str], Line] = {}
    for line in lines:
        if line["kind"] == "record":
            records.setdefault((line["step"], line["key"]), line)
    ordered = [records[key] for key in sorted(records)]
    scores = [line for line in ordered if line["key"] == "scores"]
    reached = [line["step"] for line in lines if line["kind"] == "record" or line["kind"] in ENDS]
    finals = _stamped(ordered, "final")
    record = TrialRecord(
        schema=SCHEMA_VERSION,
        trial_id=newest["trial_id"],
        point=newest["point"],
        cell=newest["cell"],
        seed=newest["seed"],
        status=status,
        message=last["message"] if last["kind"] in ENDS else "",
        step=max(reached, default=0),
        target=newest["target"],
        done_step=max((line["step"] for line in lines if line["kind"] == "done"), default=0),
        config=newest["config"],
        training=_training([line for line in ordered if line["key"] == "training"]),
        evaluations=_stamped(ordered, "evaluation", "evaluation_val"),
        probes=_stamped(ordered, "probe"),
        scores=_stamped_scores(scores[-1]) if scores else None,
        attempts=[{key: value for key, value in line.items() if key not in ("kind", "config")} for line in attempts],
    )
    if finals:  # the key is absent for a trial without a last pass
        record["finals"] = finals
    if form_of(newest) == FORM_OF_OTHERS:
        record["trainer"] = newest["trainer"]
        record["readings"] = [
            Reading(step=line["step"], time_ms=line["time_ms"], values=line["value"])
            for line in ordered
            if line["key"] == READINGS
        ]
    return record


def _stamped_scores(line: Line) -> Any:
    return {"step": line["step"], **line["value"]}


def _stamped(lines: list[Line], *keys: str) -> list[Any]:
    own = (line for line in lines if line["key"] in keys)
    return [{"step": line["step"], "time_ms": line["time_ms"], **line["value"]} for line in own]


def _training(lines: list[Line]) -> Training:
    return Training(
        step=[line["step"] for line in lines],
        time_ms=[line["time_ms"] for line in lines],
        query_loss=[line["value"]["query_loss"] for line in lines],
        query_accuracy=[line["value"]["query_accuracy"] for line in lines],
    )


def read_record(results: Results, trial_id: str) -> TrialRecord:
    """Return the record of a trial whose journal holds an attempt; it is "interrupted" if its run died."""
    paths = results.trial(trial_id)
    record = fold(paths.journal)
    assert record is not None
    if record["status"] == "running" and holder_of(paths) is None:
        record["status"], record["message"] = "interrupted", "its run died"
    return record
