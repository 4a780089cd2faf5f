"""What `sweeper run --executor slurm` prints: what was submitted, and how far it is. Ctrl-C leaves the jobs."""

import time
from collections import Counter
from collections.abc import Callable, Sequence

import click

from sweeper.cli.terminal.outcome import spoken
from sweeper.cli.terminal.printing import say
from sweeper.cli.terminal.search_lines import progress_line
from sweeper.errors import SweepError
from sweeper.executors.slurm.commands import SlurmError
from sweeper.executors.slurm.frozen_search import names_of
from sweeper.executors.slurm.queue import Job
from sweeper.executors.slurm.standing import Live, Queued, once_settled, queued, with_queue
from sweeper.results.paths import Results
from sweeper.results.survey import Batch, Standing
from sweeper.running.batch import only_run, surveyed_again
from sweeper.running.on_slurm import Submitted
from sweeper.search.trials import searches_in

LOOK_EVERY_S = 5.0
SLOTS_A_SECOND = 20
"""Slurm is asked again after one second more for so many slots, up to LONGEST_S."""
LONGEST_S = 30.0
STORE_EVERY_S = 60.0
TROUBLE = ("FAILED", "OUT_OF_MEMORY", "TIMEOUT", "NODE_FAIL", "BOOT_FAIL", "DEADLINE")


def told(submitted: Submitted) -> str:
    """Return what a run has submitted, in words."""
    if submitted.submission is None:
        return "nothing to submit: everything that is left is queued or running in Slurm"
    jobs = ", ".join(submitted.jobs)
    after = f", after the jobs {', '.join(submitted.waits_for)} have ended" if submitted.waits_for else ""
    searches = [_count(len(submitted.searches), "search", "es")] if submitted.searches else []
    trials = [_count(len(submitted.trials), "trial")] if submitted.trials or not searches else []
    return (
        f"submitted {' and '.join([*trials, *searches])} to {_count(submitted.slots, 'slot')}: "
        f"job{'s' if len(submitted.jobs) > 1 else ''} {jobs}{after}; its script and logs: {submitted.submission.folder}"
    )


def watch(batch: Batch, results: Results, show: Callable[[], None] | None) -> None:
    """Print how far the jobs are until Slurm has no more of them. Exits with 130 at Ctrl-C, and leaves the jobs.

    `show` brings the tracking store up to date, now and then and at the end.
    """
    try:
        _Watch(batch, results, show).run()
        if show is not None:
            bring_up(batch, results, show)
    except KeyboardInterrupt:
        say(
            "The jobs stay in Slurm. The same command watches them again, `sweeper status` shows them, and `sweeper "
            "stop` saves and cancels them."
        )
        raise click.exceptions.Exit(130) from None


class _Watch:
    def __init__(self, batch: Batch, results: Results, show: Callable[[], None] | None) -> None:
        self._batch = batch
        self._results = results
        self._show = show
        self._ids = {standing.spec.trial_id for standing in batch.standings}
        self._searches = {search.search_id for part in batch.parts for search in part.searches}
        self._said: set[str] = set()
        self._line = ""
        self._shown_s = time.monotonic()

    def run(self) -> None:
        while True:
            try:
                found = once_settled(self._results, say)
            except SlurmError as error:
                self._once(f"{error}")
                time.sleep(LONGEST_S)
                continue
            ours = [live for live in found if self._is_ours(live)]
            now = surveyed_again(self._batch, self._results)
            searches = searches_in(now, self._results)
            self._tell(now.standings, queued(now.standings, found, self._results, searches), ours)
            for line in map(progress_line, searches):
                self._once(line)
            if all(live.over for live in ours):
                break
            self._show_in_store()
            slots = sum(len(live.living) for live in ours)
            time.sleep(min(LOOK_EVERY_S + slots / SLOTS_A_SECOND, LONGEST_S))

    def _is_ours(self, live: Live) -> bool:
        names = {each["trial_id"] for each in live.submission.content["trials"]}
        return bool(names & self._ids or names_of(live.submission.searched["searches"]) & self._searches)

    def _tell(self, standings: Sequence[Standing], of: Queued, ours: Sequence[Live]) -> None:
        for live in ours:
            for line in live.submission.complaints():
                self._once(line)
            for job in live.jobs:
                if job.state in TROUBLE:
                    self._once(f"job {job.id} on {job.node} has ended as {job.state}; its log: {_log(live, job)}")
        line = f"{spoken(with_queue(standings, of))}{_slots(ours)}"
        if line != self._line:
            self._line = line
            say(line)

    def _once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            say(text)

    def _show_in_store(self) -> None:
        if self._show is not None and time.monotonic() - self._shown_s > STORE_EVERY_S:
            self._shown_s = time.monotonic()
            bring_up(self._batch, self._results, self._show)


def bring_up(batch: Batch, results: Results, show: Callable[[], None]) -> None:
    """Bring the store up to date, unless another command does that for these sweeps."""
    try:
        with only_run(batch, results):
            show()
    except SweepError as error:
        say(f"the store is not brought up to date here: {error}")


def _slots(ours: Sequence[Live]) -> str:
    """Return where the slots are, such as `; slots: 2 on a, 1 on b, 5 wait (Priority)`."""
    jobs = [job for live in ours for job in live.living]
    nodes = Counter(job.node for job in jobs if job.at_work)
    reasons = Counter(job.reason for job in jobs if not job.at_work)
    parts = [f"{count} on {node}" for node, count in sorted(nodes.items())]
    parts += [f"{count} wait ({reason})" for reason, count in reasons.most_common()]
    return f"; slots: {', '.join(parts)}" if parts else ""


def _log(live: Live, job: Job) -> str:
    return str(live.submission.folder / f"slot-{job.id}.log")


def _count(number: int, noun: str, ending: str = "s") -> str:
    return f"{number} {noun}{ending * (number != 1)}"
