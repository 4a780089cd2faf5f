"""`sweeper report`: join the plan with the tracking store, and write tables, figures and pages."""

import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import click

from analysis.contract.question import FORMATS
from sweeper.cli.options import (
    only_option,
    profile_option,
    results_option,
    set_option,
    tracking_option,
    with_errors_shown,
)
from sweeper.cli.terminal.mending import command_to_mend
from sweeper.cli.terminal.printing import hand_out, say
from sweeper.reporting import answers, request
from sweeper.reporting.sweep_answer import push_report
from sweeper.results.index import summaries
from sweeper.results.paths import Results
from sweeper.sweepfile.tries import words

WIDEST = 120  # characters; longer lines are hard to read
_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE...]", type=_FILE)
@profile_option
@results_option
@tracking_option
@only_option
@set_option
@click.option("--all", "every", is_flag=True, help="Report every FILE (default: sweeps/*.yaml), and one page of all.")
@click.option(
    "--compare-authors", "authors", metavar="CSV", type=_FILE, help="Report the authors' raw results, not ours."
)
@click.option("--from", "data", metavar="FOLDER", type=_FOLDER, help="Report the raw data in FOLDER, not a store.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice((*FORMATS, request.DATA)),
    help="Format to write; data is the raw data, for --from and other programs [default: all but data].",
)
@click.option(
    "--style",
    type=click.Choice(["paper"]),
    help="Also write each figure for a paper: panels alone, a column or page wide, letters of 8 pt, PDF and PGF.",
)
@click.option("--mix-engines", is_flag=True, help="Accept cells whose trials were trained by different engines.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder [default: RESULTS/reports/NAME].")
@with_errors_shown
def report(
    files: tuple[Path, ...],
    profile: str | None,
    results: Path,
    tracking_uri: str | None,
    only: tuple[str, ...],
    settings: tuple[str, ...],
    every: bool,
    authors: Path | None,
    data: Path | None,
    formats: tuple[str, ...],
    style: str | None,
    mix_engines: bool,
    out: Path | None,
) -> None:
    """Write the tables, figures and pages of sweep FILE, and print the first table and the path of every file.

    The report opens with the answer to the sweep's question. It sets the authors' numbers beside ours where they
    exist. It names every missing value, and a mean over fewer seeds than planned says so. The command waits for a
    process that is bringing the tracking store up to date with this results folder.

    \b
    Example:
      sweeper report sweeps/zeroing_vs_steps.yaml --profile cpu --out report
      sweeper report sweeps/zeroing_vs_steps.yaml --profile cpu --style paper
      sweeper report --all
      sweeper report --from sweeps/evidence/omniglot_basic
    """
    asked = request.understand(
        request.Options(
            files=files,
            profile=profile,
            results=Results.at(results),
            tracking_uri=tracking_uri,
            only=only,
            settings=settings,
            every=every,
            authors=authors,
            data=data,
            formats=formats,
            out=out,
            mix_engines=mix_engines,
            printed=style is not None,
        )
    )
    if asked.left_out:
        say(f"left out, because the authors have no runs of them: {', '.join(asked.left_out)}")
    for part in asked.parts if authors is None and data is None else ():
        _tell_damaged(part, results, profile, settings)
    for made in answers.write(asked, say):
        if isinstance(made, Path):
            hand_out(made)
        else:
            _print(made, every)
            whole = not (every or only or formats) and asked.uri is not None
            if whole and (trouble := push_report(asked.parts[0], made, Results.at(results), asked.uri or "")):
                say(f"the report is written, and was not added to the sweep's run: {trouble}")


def _tell_damaged(part: request.Part, results: Path, profile: str | None, settings: Sequence[str]) -> None:
    """Name the trials whose journal is damaged: the store may show them as they were at the last sync."""
    known = summaries(Results.at(results))
    damaged = [found for trial in part.asked.plan if (found := known.get(trial.trial_id)) and found.damaged]
    for found in damaged:
        say(f"{found.trial_id}: {found.trouble}")
    if command := command_to_mend(damaged, [part.sweep.path], results, profile, words(settings)):
        say(command)


def _print(made: answers.Written, every: bool) -> None:
    """Print a sweep's answer to stderr, its first table if it is the only sweep, and its files to stdout."""
    say(broken(f"{made.sweep}: {made.sentence}" if every else made.sentence))
    for word, text in made.verdicts if not every else ():
        say(broken(f"  {f'{word}: ' if word else ''}{text}"))
    if made.table is not None and not every:
        from sweeper.reporting.plain_table import plain_table

        say(f"\n{plain_table(made.table, min(shutil.get_terminal_size().columns, WIDEST))}\n")
    say(f"{made.complete} cells complete, {made.incomplete} with missing seeds")
    for path in made.paths:
        hand_out(path)


def broken(text: str) -> str:
    """Return `text` broken between words if a terminal shows it: a terminal itself breaks words. Else unchanged."""
    if not sys.stderr.isatty():
        return text
    width = min(shutil.get_terminal_size().columns, WIDEST)
    return textwrap.fill(text, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
