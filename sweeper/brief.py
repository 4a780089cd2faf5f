"""One trial in a few words: what a plan, a status and an estimate need of it, without its curves."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from sweeper.journal import Line, fold_lines
from sweeper.plan import identify, identity
from sweeper.schema import Status
from trainers.config import PACKABLE, TrialConfig, resolve


class Brief(NamedTuple):
    """A journal, folded small.

    `digest` and `recipe` are the last attempt's, `device` the first's. `message` says in one line why it ended.
    `evaluated` are the outer steps with an evaluation. `kin` names the trials that cost as much an outer step;
    `worker_s` is the time its attempts took, of a pack its share.
    """

    trial_id: str
    point: str
    digest: str
    recipe: Mapping[str, int]
    sweeps: Sequence[str]
    attempt: int
    status: Status
    message: str
    step: int
    target: int
    done_step: int
    evaluated: Sequence[int]
    device: str
    kin: str
    worker_s: float


def brief_of(lines: Sequence[Line]) -> Brief | None:
    """Return the journal's `lines` in a few words, or None if they hold no attempt."""
    record = fold_lines(lines)
    if record is None:
        return None
    first, last = record["attempts"][0], record["attempts"][-1]
    return Brief(
        trial_id=record["trial_id"],
        point=record["point"],
        digest=last["digest"],
        recipe=last["recipe"],
        sweeps=list(dict.fromkeys(attempt["sweep"] for attempt in record["attempts"])),
        attempt=last["attempt"],
        status=record["status"],
        message=in_one_line(record["message"]),
        step=record["step"],
        target=record["target"],
        done_step=record["done_step"],
        evaluated=[evaluation["step"] for evaluation in record["evaluations"]],
        device=first["device"],
        kin=kin_of(resolve(record["config"]), first["device"]),
        worker_s=_worker_s(lines),
    )


def in_one_line(message: str) -> str:
    """Return the first line of the error that a traceback ends with, or of a plain message."""
    lines = message.strip().splitlines()
    traces = [number for number, line in enumerate(lines) if line.strip() == "Traceback (most recent call last):"]
    after = lines[traces[-1] + 1 :] if traces else lines
    return next((line for line in after if line[:1].strip()), "")


def kin_of(config: TrialConfig, device: str) -> str:
    """Return the name of the trials that cost as much an outer step on `device`: alike but for seed, head and rates."""
    alike: dict[str, Any] = {name: value for name, value in identity(config).items() if name not in PACKABLE}
    return identify(alike | {"device": device})


def _worker_s(lines: Sequence[Line]) -> float:
    total_s, share = 0.0, 1
    for before, line in pairwise(lines):
        share = before["pack"] if before["kind"] == "attempt" else share
        if line["kind"] != "attempt":  # between two attempts nobody worked
            total_s += (line["time_ms"] - before["time_ms"]) / 1000 / share
    return total_s
