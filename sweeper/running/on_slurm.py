"""A run by Slurm: what has to be submitted, and the act of submitting it. Trains nothing and prints nothing."""

import getpass
import math
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sweeper.errors import Problem, SweepError, SweepFileError
from sweeper.executors.slurm import commands
from sweeper.executors.slurm.commands import RefusedError
from sweeper.executors.slurm.content import FORM, Content
from sweeper.executors.slurm.frozen_search import at_once, frozen_searches
from sweeper.executors.slurm.gpu import MEASURED
from sweeper.executors.slurm.options import Options, of_profile
from sweeper.executors.slurm.script import script, split, words
from sweeper.executors.slurm.standing import Live, once_settled, only_left, queued
from sweeper.executors.slurm.submission import (
    Submission,
    jobs_of,
    new_token,
    publish,
    submissions,
    with_meeting,
)
from sweeper.executors.slurm.thaw import frozen
from sweeper.planning.searched import Search
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.known_trainers import keep
from sweeper.results.paths import Results, storage_explained
from sweeper.running.required import required
from sweeper.running.todo import Todo
from sweeper.search.propose import made_by
from sweeper.search.trials import known, searches_in
from sweeper.sweepfile.search_key import BY_OPTUNA
from sweeper.sweepfile.sweep import Sweep

MOST_TRIES = 20


@dataclass(frozen=True, kw_only=True)
class How:
    """How to submit: the options of sbatch, the number of slots at once, and what each trial is trained with.

    `profile` is that of the sweeps, and `engine` the one that the user asks for; searches need them.
    """

    options: Options
    workers: int
    pack: int
    timeout_s: float
    retry_failed: bool
    data_root: Path
    profile: str | None = None
    engine: str | None = None


class Submitted(NamedTuple):
    """What a run has submitted: trials, searches, and their submission; None if everything was queued already.

    `refused` is sbatch's line about an array after the first, which it took.
    """

    trials: Sequence[TrialSpec]
    searches: Sequence[Search]
    submission: Submission | None
    slots: int
    jobs: Sequence[str]
    waits_for: Sequence[str]
    refused: str


def options_of(sweeps: Iterable[Sweep], profile: str | None) -> dict[str, str | bool]:
    """Return the options of sbatch that a profile has in these sweeps. Raises SweepFileError, SweepError."""
    found: dict[str, str | bool] = {}
    for sweep in sweeps:
        given = sweep.profiles[profile].slurm if profile is not None and profile in sweep.profiles else {}
        problems = []
        for name, value in given.items():
            try:
                option = of_profile(name, value)
            except SweepError as error:
                at = sweep.document.at(("profiles", str(profile), "slurm", name))
                problems.append(Problem(at, str(error)))
                continue
            if option is not None and found.setdefault(*option) != option[1]:
                raise SweepError(
                    f"{sweep.path}: slurm: {option[0]} is {option[1]} in profile {profile}, and {found[option[0]]} in "
                    f"another file; give it with --slurm {option[0]}=..."
                )
        if problems:
            raise SweepFileError(sweep.path, problems)
    return found


def submit(todo: Todo, how: How, results: Results, say: Callable[[str], None]) -> Submitted:
    """Submit what is neither queued nor running, and return what that was. Raises SweepError.

    Only this act excludes others: a submission takes the next free number, or another command has been first.
    """
    for _ in range(MOST_TRIES):
        with storage_explained(results.slurm):
            last = max((one.number for one in submissions(results, every=True)), default=0)
            found = once_settled(results, say)
            trials, searches = left_of(todo, found, results)
            if not trials and not searches:
                return Submitted((), (), None, 0, (), (), "")
            submission, waits_for = _published(todo, trials, searches, how, results, found, last)
            if submission is not None:
                return _sent(submission, trials, searches, waits_for)
    raise SweepError(f"other commands have submitted {MOST_TRIES} times meanwhile; run the same command again")


def left_of(todo: Todo, found: Sequence[Live], results: Results) -> tuple[list[TrialSpec], list[Search]]:
    """Return the trials and searches of `todo` that Slurm has not.

    Raises SweepError for a trial that is to start again and is there.
    """
    of = queued(todo.batch.standings, found, results, searches_in(todo.batch, results))
    there = of.states
    again = {standing.spec.trial_id for standing in todo.begun}
    for trial_id, target in there:
        if trial_id in again:
            state = there[trial_id, target][0]
            raise SweepError(f"--rerun: {trial_id} is {state}; end it with `sweeper stop` first")
    return only_left(todo.trials, of), [one for one in todo.searches if one.search_id not in of.searches]


def _published(
    todo: Todo,
    trials: Sequence[TrialSpec],
    searches: Sequence[Search],
    how: How,
    results: Results,
    found: Sequence[Live],
    last: int,
) -> tuple[Submission | None, Sequence[str]]:
    size = len(trials) + sum(_at_once(search, todo, results) for search in searches)
    slots, waits_for = _slots(math.ceil(size / max(how.pack, 1)), how.workers, found)
    folder = results.slurm / f"{last + 1:06d}"
    token = new_token()
    results.note_digests({name: array["digest"] for name, array in todo.batch.data.items()})
    examples = [search.examples[0] for search in searches]
    for spec in {id(spec.trainer): spec for spec in (*trials, *examples)}.values():
        keep(results, spec.trainer, spec.reference)
    sweeps = {spec.trial_id: part.sweep.name for part in reversed(todo.batch.parts) for spec in part.specs}
    attempts = {each.spec.trial_id: each.summary.attempt for each in todo.batch.standings if each.summary is not None}
    started_again = {standing.spec.trial_id for standing in todo.begun}
    attempts = {name: number for name, number in attempts.items() if name not in started_again}
    frozen_trials, references = frozen(trials, sweeps, todo.engines, attempts)
    sizes = split(slots, commands.most_elements())
    asked = required(todo.batch, how.data_root, results, secrets.token_hex(8))
    asked["versions"] |= _versions_of_samplers(searches)
    content = Content(
        form=FORM,
        token=token,
        by=f"{getpass.getuser()} on {socket.gethostname()}",
        created_ms=time.time_ns() // 1_000_000,
        experiments=[part.experiment for part in todo.batch.parts],
        device=todo.room.device,
        pack=how.pack,
        timeout_s=how.timeout_s,
        retry_failed=how.retry_failed,
        data={name: dict(array) for name, array in todo.batch.data.items()},
        asked=with_meeting(asked, folder),
        options=dict(how.options),
        waits_for=list(waits_for),
        parts={f"{token}.{number}": size for number, size in enumerate(sizes)},
        references=references,
        trials=frozen_trials,
    )
    if how.pack == MEASURED:
        summaries = [each.summary for each in todo.batch.standings if each.summary is not None]
        content["begun"] = {one.trial_id: one.pack for one in summaries if one.trial_id in attempts}
    if searches:
        failed = {
            each.spec.trial_id: each.summary.attempt
            for each in todo.batch.standings
            if how.retry_failed and each.state == "failed" and each.summary is not None
        }
        content["searched"] = frozen_searches(searches, how.profile, failed)
        if how.engine is not None:
            content["searched"]["engine"] = how.engine
    return publish(results, last, content, script(how.options, folder, sys.executable)), waits_for


def _at_once(search: Search, todo: Todo, results: Results) -> int:
    """Return how many slots can work for a search at once, at most."""
    found = known(search, results)
    states = {(each.spec.trial_id, each.spec.target): each.state for each in todo.batch.standings}
    confirmations = [one.spec for one in found.trials if one.role == "confirmation"]
    left = [spec for spec in confirmations if states.get((spec.trial_id, spec.target)) not in ("done", "diverged")]
    return at_once(search, found.state, len(left))


def _versions_of_samplers(searches: Sequence[Search]) -> dict[str, str]:
    """Return the version of Optuna if one of `searches` needs it, since slots propose. Raises SweepError without it."""
    for search in searches:
        if search.spec.sampler in BY_OPTUNA:
            return {"optuna": made_by(search).removeprefix("optuna ")}
    return {}


def _slots(packs: int, workers: int, found: Sequence[Live]) -> tuple[int, Sequence[str]]:
    """Return how many slots are submitted for so many packs, and the jobs that they wait for.

    All slots of the folder together are at most `workers` at once.
    """
    taken = sum(len(live.living) for live in found)
    if taken < workers:
        return min(packs, workers - taken), ()
    answers = (answer for live in found if not live.over for answer in live.submission.answers())
    return min(packs, workers), jobs_of(answers)


def _sent(
    submission: Submission, trials: Sequence[TrialSpec], searches: Sequence[Search], waits_for: Sequence[str]
) -> Submitted:
    """Give each array to sbatch. A submission that is refused whole leaves nothing."""
    content, jobs, refused = submission.content, list[str](), ""
    for part, size in content["parts"].items():
        indices = f"0-{size - 1}" if size > 1 else "0"
        given = words(content["options"], part, indices, submission.folder, waits_for)
        try:
            job = commands.submit(submission.script, given)
        except RefusedError as error:
            if not jobs:
                submission.withdraw()
                raise
            refused = str(error)
            break
        submission.note(part, job)
        jobs.append(job)
    sizes = list(content["parts"].values())[: len(jobs)]
    return Submitted(trials, searches, submission, sum(sizes), jobs, waits_for, refused)
