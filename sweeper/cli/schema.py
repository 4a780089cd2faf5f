"""`sweeper schema`: print the JSON schema of sweep files."""

import click

from sweeper.cli.options import with_errors_shown
from sweeper.cli.terminal.printing import print_out
from sweeper.sweepfile.begin import schema_text


@click.command()
@with_errors_shown
def schema() -> None:
    """Print the JSON schema of sweep files, by which an editor completes keys and marks mistakes.

    A sweep file names its schema in its first line, `# yaml-language-server: $schema=sweep.schema.json`. The path is
    relative to the sweep file. `sweeper plan` checks more than a schema can.

    \b
    Example:
      sweeper schema > sweep.schema.json
    """
    print_out(schema_text().removesuffix("\n"))
