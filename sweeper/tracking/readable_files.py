"""The artefacts of a trial's run that a person reads in MLflow's own preview: config, measurements and log.

Pure functions. They repeat what `trial.json.gz` and the log hold, which stay the record.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from analysis.contract.record import TrialRecord, passes

LONGEST_LOG = 1_000_000
"""Bytes of a log that are shown; of a longer one its end."""


def readable_files(record: TrialRecord, log: bytes) -> dict[str, bytes]:
    """Return the files of `record` by name; `log` is the log of its last attempt, empty if there is none."""
    files = {"config.json": (json.dumps(record["config"], indent=2, sort_keys=True) + "\n").encode()}
    files |= _measured_by_maml(record) if "trainer" not in record else {"readings.csv": _readings(record)}
    if log:
        files["log.txt"] = log if len(log) <= LONGEST_LOG else b"...\n" + log[-LONGEST_LOG:].partition(b"\n")[2]
    return files


def _measured_by_maml(record: TrialRecord) -> dict[str, bytes]:
    training = record["training"]
    curve = zip(training["step"], training["query_loss"], training["query_accuracy"], strict=True)
    return {
        "curve.csv": _csv(("outer_step", "query_loss", "query_accuracy"), curve),
        "evaluations.csv": _csv(("outer_step", "split", "head", "inner_step", "accuracy", "sd"), _scores(record)),
    }


def _readings(record: TrialRecord) -> bytes:
    """Return one row per step and one column per metric; what was not measured there is empty."""
    readings = record.get("readings", [])
    names = list(dict.fromkeys(name for reading in readings for name in reading["values"]))
    rows = ([reading["step"], *(reading["values"].get(name, "") for name in names)] for reading in readings)
    return _csv(("step", *names), rows)


def _scores(record: TrialRecord) -> Iterable[Sequence[Any]]:
    """Yield one row per evaluation, head and inner step; accuracies are fractions."""
    for found in passes(record):
        for head, accuracy in found["accuracy"].items():
            for inner_step, (mean, sd) in enumerate(zip(accuracy, found["sd"][head], strict=False)):
                if mean is not None:
                    yield found["step"], found["split"], head, inner_step, mean, sd


def _csv(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
    return text.getvalue().encode()
