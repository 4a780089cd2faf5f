"""`sweeper ui`: MLflow on the store of a results folder."""

import os
import subprocess
from pathlib import Path

import click

from sweeper.cli.options import results_option, tracking_option, with_errors_shown
from sweeper.errors import SweepError
from sweeper.results import Results
from sweeper.tracking_uri import SQLITE, UI_ENVIRONMENT, resolve_uri, ui_command, ui_url


@click.command()
@results_option
@tracking_option
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@with_errors_shown
def ui(results: Path, tracking_uri: str | None, port: int) -> None:
    """Serve MLflow's UI for the results on this machine alone, until Ctrl-C.

    \b
    Example:
      sweeper ui --port 5001
    """
    folder = Results.at(results)
    uri = resolve_uri(tracking_uri, folder.root)
    if uri is None:
        raise SweepError("--tracking-uri none: there is no store to open; leave it out, or name one")
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).exists():
        raise SweepError(f"{uri.removeprefix(SQLITE)}: there is no tracking store yet; `sweeper run FILE` makes it")
    command = ui_command(uri, port)
    click.echo(f"MLflow: {ui_url(uri, port)}", err=True)
    if not command:
        return
    try:
        ended = subprocess.run(command, env={**os.environ, **UI_ENVIRONMENT}, check=False)
    except KeyboardInterrupt:
        return
    if ended.returncode:
        raise SweepError(
            f"MLflow ended with code {ended.returncode}; if port {port} is taken, give another with --port"
        )
