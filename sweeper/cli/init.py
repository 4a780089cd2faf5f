"""`sweeper init`: write a commented sweep file to begin with."""

from pathlib import Path

import click

from sweeper.cli.options import with_errors_shown
from sweeper.cli.terminal.printing import hand_out, say
from sweeper.sweepfile.begin import DEFAULT_NAME
from sweeper.sweepfile.begin import begin as write_first_sweep


@click.command()
@click.argument("name", default=DEFAULT_NAME)
@with_errors_shown
def init(name: str) -> None:
    """Write NAME.yaml, a commented sweep file that runs, and the schema by which an editor completes and checks it.

    The name is my_question if none is given. A file that exists is never changed.

    \b
    Example:
      sweeper init
      sweeper init inner_lr
    """
    file, beside = write_first_sweep(name, Path())
    hand_out(file)
    hand_out(beside)
    say(f"Next: change {file} to your question, then `sweeper plan {file}`")
