"""What `sweeper run` prints before and after training: counts, trials to run, and unfinished trials with reasons."""

import json
from collections.abc import Callable, Collection

import click

from analysis.contract.lifecycle import State
from sweeper.cli.terminal.printing import hand_out, say
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.locks import holder_of
from sweeper.results.paths import Results
from sweeper.results.survey import Standing, counts
from sweeper.results.trial_summary import TrialSummary

TROUBLE = 3
LEFT: tuple[State, ...] = ("failed", "diverged", "running", "interrupted", "new")
"""The states whose trials are listed at the end of a run, each trial with its reason."""


def print_todo(standings: list[Standing], todo: list[TrialSpec], as_json: bool) -> None:
    """Print the trials that a run would train: a line for each, or JSON with the counts."""
    if as_json:
        facts = {"planned": len(standings), **counts(standings)}
        hand_out(json.dumps(facts | {"to_run": [spec.trial_id for spec in todo]}))
        return
    for spec in todo:
        hand_out(f"{spec.trial_id}  {spec.name()}")


def finish(
    standings: list[Standing],
    results: Results,
    as_json: bool,
    to_mend: Callable[[list[TrialSummary | None]], str],
    then: str,
    settled: Collection[str] = (),
    searches: Collection[str] = (),
) -> None:
    """Print the counts, the trials in the states of LEFT, and what to do next. Exits with code 3 if any is left.

    `to_mend` returns a sentence with the command that mends damaged journals, if there are any. `then` is the command
    for a run that has trained everything, or empty. A trial in `settled` that diverged or
    failed is a result of a search. `searches` are the names of those that are not over.
    """
    counted = counts(standings)
    if as_json:
        hand_out(json.dumps({"planned": len(standings), **counted}))
    else:
        say(spoken(standings))
    left = [
        standing
        for state in LEFT
        for standing in standings
        if standing.state == state and not (state in ("failed", "diverged") and standing.spec.trial_id in settled)
    ]
    for standing in left:
        say(f"{standing.spec.trial_id}  {standing.spec.name()}: {standing.why}{_where(standing, results)}")
    for name in searches:
        say(f"the search {name} is not over")
    if command := to_mend([standing.summary for standing in standings]):
        say(command)
    elif left or searches:
        say(_go_on(left, bool(searches)))
    elif then:
        say(f"next: {then}")
    if left or searches:
        raise click.exceptions.Exit(TROUBLE)


def _go_on(left: list[Standing], searching: bool) -> str:
    """Return what a user can do about trials that are not done, and about searches that are not over."""
    states = {standing.state for standing in left}
    steps = []
    if searching or states & {"running", "interrupted", "new"}:
        steps.append("run the same command to train what is left")
    if "failed" in states:
        steps.append("remove the cause of a failure and add --retry-failed to train failed trials again")
    if not steps:
        steps.append("a diverged trial is a result; `sweeper report` counts it")
    return f"next: {'; '.join(steps)}"


def tell_left(standings: list[Standing]) -> None:
    """Print the counts after a run that could not go on, and list the trials that it interrupted."""
    say(spoken(standings))
    for standing in standings:
        if standing.state == "interrupted":
            say(f"{standing.spec.trial_id}  {standing.spec.name()}: {standing.why}")


def _where(standing: Standing, results: Results) -> str:
    """Return the log or journal of a trial that failed or diverged, or the process that trains a running one."""
    paths = results.trial(standing.spec.trial_id)
    if standing.state == "running":
        holder = holder_of(paths)
        return f", by process {holder['pid']} on {holder['host']}" if holder else ""
    if standing.state not in ("failed", "diverged") or standing.summary is None or standing.unreadable:
        return ""
    log = paths.log(standing.summary.attempt)
    return f"; {log if log.exists() else paths.journal}"


def spoken(standings: list[Standing]) -> str:
    """Return the counts in words."""
    text = ", ".join(f"{count} {state}" for state, count in counts(standings).items() if count)
    return f"{len(standings)} planned: {text}"
