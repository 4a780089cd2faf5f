"""Where Slurm stands with each submission and each trial: which are queued, which run, and on which node.

Writes nothing but what sbatch had answered to a command that died before it could note it.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from sweeper.executors.slurm import commands
from sweeper.executors.slurm.frozen_search import covers, names_of
from sweeper.executors.slurm.holders import open_attempt, owner_of
from sweeper.executors.slurm.queue import Job
from sweeper.executors.slurm.submission import Submission, covered, submissions
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.paths import Results
from sweeper.results.survey import Standing
from sweeper.search.journal import read_state
from sweeper.search.trials import KnownSearch

SETTLED_S = 60.0
"""A submission that has no answer of sbatch and no job after so long was never submitted, or is past."""
LOOK_EVERY_S = 2.0


class Live(NamedTuple):
    """A submission with what squeue shows of it. `unsettled`: a command may be about to submit it at this moment."""

    submission: Submission
    jobs: Sequence[Job]
    unsettled: bool

    @property
    def living(self) -> list[Job]:
        return [job for job in self.jobs if not job.over]

    @property
    def over(self) -> bool:
        """Whether Slurm has nothing more of it: its jobs have ended, or were purged from the queue."""
        return not self.living and not self.unsettled


def look(results: Results, ask: Callable[[Iterable[str]], list[Job]] = commands.jobs_named) -> list[Live]:
    """Return the submissions that may have jobs, with their jobs, oldest first. Raises SlurmError, ResultsError."""
    found = submissions(results)
    if not found:
        return []
    names = {name: one for one in found for name in one.names}
    jobs: dict[Submission, list[Job]] = {one: [] for one in found}
    for job in ask(names):
        if job.name in names:
            jobs[names[job.name]].append(job)
    return [Live(one, jobs[one], _unsettled(one, jobs[one])) for one in found]


def _unsettled(submission: Submission, jobs: Sequence[Job]) -> bool:
    """Return whether an array of a submission may not have reached Slurm yet."""
    if submission.answered or set(submission.names) <= {job.name for job in jobs}:
        return False
    return submission.age_s() < SETTLED_S


def once_settled(results: Results, say: Callable[[str], None]) -> list[Live]:
    """Return what `look` finds once no other command is about to submit; note the jobs of one that died meanwhile.

    Notes which submissions are past, so that Slurm is not asked about them again. Raises OSError as well.
    """
    told = False
    while True:
        found = look(results)
        waiting = [live for live in found if live.unsettled]
        if not waiting:
            break
        if not told:
            say("waiting for another command that is submitting at this moment, or that died while it did")
            told = True
        time.sleep(LOOK_EVERY_S)
    for live in found:
        known = {answer.part for answer in live.submission.answers()}
        for job in live.jobs:
            if job.name not in known:
                known.add(job.name)
                array = job.id.partition("_")[0]
                live.submission.note(job.name, array)
                say(f"job {array} of submission {live.submission.number} is found again by its name {job.name}")
        if live.over:
            live.submission.over_mark.touch()
    return found


class Queued(NamedTuple):
    """What Slurm has of a plan. `states` says it of each trial, by id and target: a sentence, and whether it runs.

    `searches` says by their ids of the searches that slots go on with, or will.
    """

    states: Mapping[tuple[str, int], tuple[str, bool]]
    searches: Mapping[str, str]

    @property
    def running(self) -> int:
        return sum(runs for _, runs in self.states.values())

    @property
    def queued(self) -> int:
        return len(self.states) - self.running


def queued(
    standings: Iterable[Standing], found: Sequence[Live], results: Results, searches: Sequence[KnownSearch] = ()
) -> Queued:
    """Return which of the unfinished trials are queued or run. A shorter target in the queue covers no longer one.

    The trials of `searches` are queued if slots go on with their search.
    """
    of_search = {one.spec.trial_id: each for each in searches for one in each.trials if one.role != "superseded"}
    states: dict[tuple[str, int], tuple[str, bool]] = {}
    alive = [live for live in found if not live.over]
    runs = {job.id: job for live in alive for job in live.jobs if job.at_work}
    steps = [(live, covered(live.submission.content)) for live in alive]
    for standing in standings:
        spec = standing.spec
        if standing.state in ("done", "diverged"):
            continue
        where = _running(standing, runs, results)
        search = of_search.get(spec.trial_id)
        for live, targets in steps:
            there = targets.get(spec.trial_id, -1) >= spec.target or (search is not None and _searches(live, search))
            if not there or (live.submission.stop_mark.exists() and not where):
                continue
            barred = live.submission.stopped(spec.trial_id).exists()
            if not barred and (where or standing.state != "failed" or _again(standing, live)):
                states[spec.trial_id, spec.target] = (where, True) if where else (_waits(live), False)
                break
    ongoing = {one.search.search_id: live for one in searches for live in reversed(alive) if _searches(live, one)}
    return Queued(
        states, {name: _slots(live) for name, live in ongoing.items() if not live.submission.stop_mark.exists()}
    )


def _searches(live: Live, known: KnownSearch) -> bool:
    return any(covers(frozen, known.search) for frozen in live.submission.searched["searches"])


def _slots(live: Live) -> str:
    """Return where the slots of a search are, such as `1 slot runs, 2 are queued (reason Priority)`."""
    runs, waits = [job for job in live.living if job.at_work], [job for job in live.living if not job.at_work]
    parts = [f"{len(runs)} slot{'s run' if len(runs) > 1 else ' runs'}"] if runs else []
    if waits:
        parts.append(f"{len(waits)} slot{'s are' if len(waits) > 1 else ' is'} queued (reason {waits[0].reason})")
    return ", ".join(parts) or f"submission {live.submission.number} is being submitted"


def _again(standing: Standing, live: Live) -> bool:
    """Return whether a trial that has failed is trained again by this submission, which came after its failure."""
    before = live.submission.attempt_before(standing.spec.trial_id)
    retried = live.submission.content["retry_failed"]
    return retried and standing.summary is not None and standing.summary.attempt <= before


def _running(standing: Standing, runs: Mapping[str, Job], results: Results) -> str:
    if standing.summary is None or standing.summary.status != "running":
        return ""
    paths = results.trial(standing.spec.trial_id)
    number = open_attempt(paths)
    owner = owner_of(paths, number) if number else None
    if owner is None or owner.job not in runs:
        return ""
    of = f" of {standing.summary.target}" if standing.summary.target else ""
    return f"running on {owner.node} (job {owner.job}) at step {standing.summary.step}{of}"


def _waits(live: Live) -> str:
    """Return what a trial of this submission waits for: a slot that is queued, or the slots that run."""
    pending = [job for job in live.living if job.state == "PENDING"]
    if pending:
        first = pending[0]
        return f"queued (job {first.id}, since {first.since}, reason {first.reason})"
    if live.living:
        first = live.living[0]
        return f"queued (job {first.id}, since {first.since}, behind what {len(live.living)} slots train)"
    return f"queued (submission {live.submission.number}, which is being submitted)"


def only_left(trials: Iterable[TrialSpec], of: Queued) -> list[TrialSpec]:
    """Return the trials that Slurm has not."""
    return [spec for spec in trials if (spec.trial_id, spec.target) not in of.states]


def with_queue(standings: Sequence[Standing], of: Queued) -> list[Standing]:
    """Return the standings with what Slurm has of them: one that runs is running, and what is queued says so."""
    found = []
    for standing in standings:
        told, runs = of.states.get((standing.spec.trial_id, standing.spec.target), ("", False))
        if runs:
            found.append(replace(standing, state="running", why=told))
        elif told:
            found.append(replace(standing, why=told if standing.state == "new" else f"{standing.why}; {told}"))
        else:
            found.append(standing)
    return found


def names(submission: Submission, trial_id: str) -> bool:
    """Return whether a submission trains a trial, or has a search that may. Raises ResultsError."""
    if trial_id in covered(submission.content):
        return True
    results = submission.results
    if any(trial_id in read_state(results.search(name)).by_trial for name in names_of(submission.searched["searches"])):
        return True
    paths = results.trial(trial_id)  # a confirmation is named by the slot that has begun it
    owner = owner_of(paths, paths.last_attempt())
    return owner is not None and owner.token == submission.content["token"]


def complaints(results: Results) -> list[str]:
    """Return why slots of the newest submission, or of one that may have jobs, did not train or go on."""
    last = submissions(results, every=True)[-1:]
    told = {one.number: one for one in [*submissions(results), *last]}
    return [line for _, one in sorted(told.items()) for line in one.complaints()]


def goes_on(trial_id: str, results: Results, finished: bool) -> bool:
    """Return whether a slot trains a trial, or will. Raises SlurmError, ResultsError."""
    for live in look(results):
        named = names(live.submission, trial_id)
        left_alone = live.submission.stop_mark.exists() or live.submission.stopped(trial_id).exists()
        if named and not live.over and not finished and not left_alone:
            return True
    return False
