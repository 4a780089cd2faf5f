"""The compute that the attempts of records took, by data set and machine."""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any, NamedTuple

from analysis.contract.record import TrialRecord, dataset_of, passes
from analysis.pages.contents import TextTable

MS_AN_HOUR = 3_600_000


class Spent(NamedTuple):
    """The compute of one attempt: its share of a worker's time in ms, and the number of steps it trained."""

    dataset: str
    device: str
    processor: str
    ms: float
    steps: int


def spent(record: TrialRecord) -> list[Spent]:
    """Return each attempt's share, from its assignment to its last record; a pack's time is divided by its trials.

    Work after the last record was lost and isn't counted.
    """
    steps, times = _trained(record)
    other = sorted(found["time_ms"] for found in (*passes(record), *record["probes"]))
    attempts = sorted(record["attempts"], key=lambda attempt: attempt["attempt"])
    found = []
    for attempt, following in zip(attempts, [*attempts[1:], None], strict=True):
        begun = attempt["time_ms"]
        trained = _within(times, begun, following)
        measured = _within(other, begun, following)
        ends = [stamps[span.stop - 1] for stamps, span in ((times, trained), (other, measured)) if span]
        found.append(
            Spent(
                dataset=dataset_of(record),
                device=attempt["device"],
                processor=attempt["processor"],
                ms=(max(ends, default=begun) - begun) / attempt["pack"],
                steps=_steps(steps, trained),
            )
        )
    return found


def compute_table(records: Iterable[TrialRecord]) -> TextTable:
    """Return one row per data set, device and processor: trials, attempts, hours, steps, steps per second.

    Without any data set there is no column for it.
    """
    groups: dict[tuple[str, str, str], list[Spent]] = {}
    trials: dict[tuple[str, str, str], int] = {}
    maml = True
    for record in records:
        maml = maml and "trainer" not in record
        shares = spent(record)
        for share in shares:
            groups.setdefault(share[:3], []).append(share)
        for key in {share[:3] for share in shares}:
            trials[key] = trials.get(key, 0) + 1
    rows = []
    for key, shares in sorted(groups.items()):
        ms, steps = sum(share.ms for share in shares), sum(share.steps for share in shares)
        rate = f"{1000 * steps / ms:.2f}" if ms else "-"
        rows.append((*key, f"{trials[key]:,}", f"{len(shares):,}", f"{ms / MS_AN_HOUR:.2f}", f"{steps:,}", rate))
    total = sum(share.ms for shares in groups.values() for share in shares) / MS_AN_HOUR
    heads = ("data set", "device", "processor", "trials", "attempts", "hours", f"{'outer ' * maml}steps", "steps/s")
    first = 1 if rows and not any(row[0] for row in rows) else 0
    also = f"{'evaluations and ' * maml}the start of workers"
    return TextTable(
        caption=f"{total:.2f} hours of worker time in total, including {also}.",
        heads=heads[first:],
        rows=tuple(row[first:] for row in rows),
        numeric=tuple(range(3 - first, len(heads) - first)),
        notes=("An attempt counts from its assignment to its last record. A pack's time is divided among its trials.",),
    )


def _trained(record: TrialRecord) -> tuple[list[int], list[int]]:
    """Return the steps of a training curve, or else of readings, and their times in ms since 1970."""
    training, readings = record["training"], record.get("readings", [])
    if training["step"]:
        return training["step"], training["time_ms"]
    return [reading["step"] for reading in readings], [reading["time_ms"] for reading in readings]


def _within(times_ms: list[int], begun_ms: int, following: dict[str, Any] | None) -> range:
    """Return the indices of sorted `times_ms` from `begun_ms` to the start of the following attempt, exclusive."""
    end = len(times_ms) if following is None else bisect_left(times_ms, following["time_ms"])
    return range(bisect_left(times_ms, begun_ms), end)


def _steps(steps: list[int], span: range) -> int:
    """Return the number of steps trained in `span`, counted from the step before its first."""
    if not span:
        return 0
    return steps[span.stop - 1] - (steps[span.start - 1] if span.start else 0)
