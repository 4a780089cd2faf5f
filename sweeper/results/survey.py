"""The state of each planned trial: compares a plan with a folder's trial summaries and locks. Writes no results."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analysis.contract.lifecycle import STATES, State
from sweeper.host.gc_pause import paused
from sweeper.planning.searched import Search
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.accepted_codes import AcceptedCodes, accepted_codes
from sweeper.results.index import summaries
from sweeper.results.locks import holder_of
from sweeper.results.paths import Results
from sweeper.results.trial_summary import TrialSummary
from sweeper.sweepfile.sweep import Sweep
from trainers.named_code import code_of
from trainers.trainer import DEFAULT


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One planned trial and its state. `why` says in a few words what a run would do with it, or why nothing.

    `code` is the hash of the code that trains it now, "" if it isn't known. `changed` says whether its last attempt had
    another one that was not accepted as equal.
    """

    spec: TrialSpec
    state: State
    why: str
    summary: TrialSummary | None
    code: str = ""
    changed: bool = False

    @property
    def unreadable(self) -> bool:
        """Whether its journal can't be read. Then no run may continue it or train over it."""
        return self.summary is not None and bool(self.summary.trouble)


@dataclass(frozen=True, kw_only=True)
class Survey:
    """A plan compared with a results folder: `standings` in plan order, and the summary of each begun trial by id."""

    standings: list[Standing]
    summaries: Mapping[str, TrialSummary]


@paused()
def survey(results: Results, specs: Iterable[TrialSpec]) -> Survey:
    """Return the state of every planned trial."""
    known = summaries(results)
    codes = _Codes(accepted_codes(results))
    newest_last = sorted(known.values(), key=lambda summary: (sum(summary.recipe.values()), summary.trial_id))
    past = {summary.point: summary for summary in newest_last}
    return Survey(
        standings=[_standing(results, spec, known.get(spec.trial_id), past, codes) for spec in specs], summaries=known
    )


class _Codes:
    """The hashes of the code that trains trials, and which of them count as equal."""

    def __init__(self, accepted: AcceptedCodes) -> None:
        self._accepted = accepted
        self._now: dict[tuple[str, int], str] = {}

    def of(self, spec: TrialSpec) -> str:
        key = spec.cell, id(spec.trainer)
        if key not in self._now:
            self._now[key] = code_of(spec.trainer, spec.cell_config).hash
        return self._now[key]

    def changed(self, spec: TrialSpec, summary: TrialSummary | None) -> bool:
        return summary is not None and not self._accepted.equal(spec.trainer.name, summary.code, self.of(spec))


def _standing(
    results: Results, spec: TrialSpec, summary: TrialSummary | None, past: Mapping[str, TrialSummary], codes: _Codes
) -> Standing:
    held = (
        summary is not None and not summary.is_done(spec.target) and holder_of(results.trial(spec.trial_id)) is not None
    )
    state, why = judge(summary, spec.target, held=held)
    if summary is None and spec.point in past:
        why = _why_new(spec, past[spec.point])
    if state == "interrupted" and not spec.trainer.resumes:
        why = f"{why}; starts again"
    changed = codes.changed(spec, summary)
    if changed and summary is not None:
        why = f"{why}; code changed since attempt {summary.attempt}"
    return Standing(spec=spec, state=state, why=why, summary=summary, code=codes.of(spec), changed=changed)


def _why_new(spec: TrialSpec, before: TrialSummary) -> str:
    """Return why a point that was trained before is another trial now."""
    if before.digest != spec.digest:
        return f"new: the data changed since {before.trial_id}"
    was = dict.fromkeys(spec.recipe, 0) | dict(before.recipe)
    now = dict.fromkeys(was, 0) | dict(spec.recipe)
    raised = [f"{name} {was[name]} to {now[name]}" for name in was if was[name] != now[name]]
    return f"new: recipe raised since {before.trial_id} ({', '.join(raised)})"


def judge(summary: TrialSummary | None, target: int, *, held: bool) -> tuple[State, str]:
    """Return the state of a trial with a target of `target` steps, 0 for none, and why. `held`: a run holds it."""
    if summary is None:
        return "new", "new"
    if summary.trouble:
        return "running" if held else "failed", summary.trouble
    if summary.is_done(target):
        return "done", f"done at step {summary.done_step}"
    length = f" of {target}" if target else ""
    if held:
        return "running", f"running at step {summary.step}{f' of {summary.target}' if summary.target else ''}"
    if summary.status == "diverged":
        return "diverged", summary.message
    if summary.status == "failed":
        return "failed", f"failed at step {summary.step}: {summary.message}"
    if summary.trainer == DEFAULT and summary.done_step >= target:
        return "interrupted", f"trained to step {summary.done_step}, not evaluated at step {target}"
    if summary.status == "done":
        return "interrupted", f"longer target: at step {summary.step}{length}"
    return "interrupted", f"interrupted at step {summary.step}{length}"


def counts(standings: Iterable[Standing]) -> dict[str, int]:
    """Return the number of trials in each state. Every state has an entry."""
    number = Counter(standing.state for standing in standings)
    return {state: number[state] for state in STATES}


def orphans(known: Mapping[str, TrialSummary], planned: Iterable[TrialSpec], sweep: str) -> list[TrialSummary]:
    """Return the summaries of the trials that `sweep` once ran and no longer plans, in order of their ids."""
    named = {spec.trial_id for spec in planned}
    return [known[name] for name in sorted(known.keys() - named) if sweep in known[name].sweeps]


@dataclass(frozen=True, kw_only=True)
class SurveyedSweep:
    """A sweep with its data found and its trials surveyed; `experiment` is its name in the tracking store.

    A searched sweep has `searches`; `specs` are then the trials that they have named so far.
    """

    sweep: Sweep
    experiment: str
    specs: tuple[TrialSpec, ...]
    survey: Survey
    searches: tuple[Search, ...] = ()

    @property
    def standings(self) -> list[Standing]:
        return self.survey.standings


def experiment_name(sweep: Sweep, profile: str | None) -> str:
    """Return the sweep's name in the tracking store: `NAME`, or `NAME@PROFILE` under a profile."""
    return f"{sweep.name}@{profile}" if profile else sweep.name


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The sweeps of one run. A trial that several of them name is trained once. `data` is keyed by data set."""

    parts: tuple[SurveyedSweep, ...]
    data: Mapping[str, dict[str, str]]

    @property
    def standings(self) -> list[Standing]:
        """The state of the trials, each (trial, target) once."""
        every = (standing for part in self.parts for standing in part.standings)
        return list({(standing.spec.trial_id, standing.spec.target): standing for standing in every}.values())
