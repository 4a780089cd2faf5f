"""Where each planned trial stands: a fold over the journals and the locks of a results folder."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sweeper.claims import holder_of
from sweeper.journal import fold
from sweeper.plan import TrialSpec
from sweeper.results import Results
from sweeper.schema import TrialRecord

State = Literal["done", "diverged", "running", "interrupted", "failed", "new"]
STATES: tuple[State, ...] = ("done", "diverged", "running", "interrupted", "failed", "new")
FINISHED: frozenset[State] = frozenset({"done", "diverged"})


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One planned trial and where it stands; `why` says in a few words what a run would do with it, or why not."""

    spec: TrialSpec
    state: State
    why: str
    record: TrialRecord | None


def survey(results: Results, specs: Iterable[TrialSpec]) -> list[Standing]:
    """Return the standing of every planned trial, in plan order."""
    return [_standing(results, spec) for spec in specs]


def _standing(results: Results, spec: TrialSpec) -> Standing:
    paths = results.trial(spec.trial_id)
    record = fold(paths.journal)
    state, why = judge(record, spec.target, held=record is not None and holder_of(paths) is not None)
    return Standing(spec=spec, state=state, why=why, record=record)


def judge(record: TrialRecord | None, target: int, *, held: bool) -> tuple[State, str]:
    """Return the state of a trial wanted to `target` outer steps, and why. `held`: a living run holds it."""
    if record is None:
        return "new", "new"
    evaluated = any(evaluation["step"] == target for evaluation in record["evaluations"])
    if record["done_step"] >= target and evaluated:
        return "done", f"done at step {record['done_step']}"
    if held:
        return "running", f"running at step {record['step']} of {record['target']}"
    if record["status"] == "diverged":
        return "diverged", record["message"]
    if record["status"] == "failed":
        return "failed", record["message"].strip().splitlines()[-1]
    if record["done_step"] >= target:
        return "interrupted", f"trained to step {record['done_step']}, not evaluated at step {target}"
    if record["status"] == "done":
        return "interrupted", f"longer target: at step {record['step']} of {target}"
    return "interrupted", f"interrupted at step {record['step']} of {target}"


def counts(standings: Iterable[Standing]) -> dict[State, int]:
    """Return how many trials are in each state, every state present."""
    found = Counter(standing.state for standing in standings)
    return {state: found[state] for state in STATES}


def orphans(results: Results, specs: Iterable[TrialSpec], sweep: str) -> list[str]:
    """Return ids of trials that `sweep` once ran and whose plan no longer names them."""
    planned = {spec.trial_id for spec in specs}
    found = []
    for folder in sorted((results.root / "trials").glob("*")):
        if folder.name in planned:
            continue
        record = fold(results.trial(folder.name).journal)
        if record is not None and any(attempt["sweep"] == sweep for attempt in record["attempts"]):
            found.append(folder.name)
    return found
