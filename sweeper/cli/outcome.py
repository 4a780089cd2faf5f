"""What `sweeper run` says before and after: counts, what is left to run, and which trials it leaves and why."""

import json

import click

from analysis.contract.lifecycle import State
from sweeper.cli.printing import hand_out, say
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.locks import holder_of
from sweeper.results.paths import Results
from sweeper.results.survey import Standing, counts

TROUBLE = 3
LEFT: tuple[State, ...] = ("failed", "diverged", "running", "interrupted", "new")
"""The states in which a run may leave a trial and that its end names, each with the trials' reason."""


def print_todo(standings: list[Standing], todo: list[TrialSpec], as_json: bool) -> None:
    """Print what a run would train, one line a trial or as JSON with the counts."""
    if as_json:
        facts = {"planned": len(standings), **counts(standings)}
        hand_out(json.dumps(facts | {"to_run": [spec.trial_id for spec in todo]}))
        return
    for spec in todo:
        hand_out(f"{spec.trial_id}  {spec.name()}")


def finish(standings: list[Standing], results: Results, as_json: bool) -> None:
    """Print where the sweep stands and leave with the exit code for it."""
    found = counts(standings)
    if as_json:
        hand_out(json.dumps({"planned": len(standings), **found}))
    else:
        say(spoken(standings))
    left = [standing for state in LEFT for standing in standings if standing.state == state]
    for standing in left:
        say(f"{standing.spec.trial_id}  {standing.spec.name()}: {standing.why}{_where(standing, results)}")
    if left:
        raise click.exceptions.Exit(TROUBLE)


def tell_left(standings: list[Standing]) -> None:
    """Print where a run that could not go on leaves the sweep, and name what it had under way."""
    say(spoken(standings))
    for standing in standings:
        if standing.state == "interrupted":
            say(f"{standing.spec.trial_id}  {standing.spec.name()}: {standing.why}")


def _where(standing: Standing, results: Results) -> str:
    """Return where to read on about a trial that failed, or who trains one that is still running."""
    paths = results.trial(standing.spec.trial_id)
    if standing.state == "running":
        holder = holder_of(paths)
        return f", by process {holder['pid']} on {holder['host']}" if holder else ""
    if standing.state not in ("failed", "diverged") or standing.brief is None or standing.unreadable:
        return ""
    log = paths.log(standing.brief.attempt)
    return f"; {log if log.exists() else paths.journal}"


def spoken(standings: list[Standing]) -> str:
    """Return the counts in words."""
    found = ", ".join(f"{count} {state}" for state, count in counts(standings).items() if count)
    return f"{len(standings)} planned: {found}"
