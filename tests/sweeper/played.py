"""Journals as runs leave them, without training; and `sweeper` in this process, where one trains for real."""

from pathlib import Path

from click.testing import CliRunner, Result

from sweeper.cli import main
from sweeper.dealing.dealt_trial import Fixed, Worker, facts
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.journal import Journal
from sweeper.results.paths import Results

HEADS = {"trained": [0.5], "zeroed": [0.5]}
EVALUATION = {"split": "test", "episodes": 3, "accuracy": HEADS, "sd": HEADS}


def worker(device: str = "cpu", pack: int = 1) -> Worker:
    return Worker(device=device, threads=1, pack=pack, data={}, timeout_s=60.0)


def begin(results: Results, spec: TrialSpec, *, device: str = "cpu", pack: int = 1, sweep: str = "tiny") -> Journal:
    """Open the next attempt of a trial's journal."""
    journal = Journal(results.trial(spec.trial_id).journal)
    fixed = Fixed("loop", 1)
    journal.open_attempt(facts(spec, worker(device), sweep, fixed, pack))
    return journal


def reach(journal: Journal, *steps: int) -> None:
    """Journal an evaluation at each of `steps`."""
    journal.add(journal.attempts, [(step, "evaluation", EVALUATION) for step in steps])


def finish(results: Results, spec: TrialSpec, *, message: str = "", status: str = "done", step: int | None = None,
           **facts_of_the_attempt) -> None:  # fmt: skip
    """Journal a whole attempt of `spec` that ends so at `step`, its target if not given."""
    journal = begin(results, spec, **facts_of_the_attempt)
    last = spec.target if step is None else step
    reach(journal, *([last] if last else []))
    journal.end(journal.attempts, status, step=last, message=message)


def command(*arguments: str | Path) -> Result:
    """Run `sweeper ARGUMENTS` in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def run(results: Results, *arguments: str | Path, uri: str = "none") -> Result:
    """Run `sweeper run ARGUMENTS` in this process, without Ray and, unless `uri` says so, without MLflow."""
    return command("run", *arguments, "--results", results.root, "--executor", "inline", "--tracking-uri", uri)
