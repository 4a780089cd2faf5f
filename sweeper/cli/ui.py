"""`sweeper ui`: open MLflow on the store of a results folder."""

import os
import socket
from pathlib import Path

import click

from sweeper.cli.options import results_option, tracking_option, with_errors_shown
from sweeper.cli.printing import say
from sweeper.errors import SweepError
from sweeper.results.paths import Results
from sweeper.tracking.address import SQLITE, resolve_uri, sqlite_path, ui_command, ui_environment, ui_url
from sweeper.tracking.moved_store import rebind


@click.command()
@results_option
@tracking_option
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5000,
    show_default=True,
    help="Port on this machine that the UI listens on.",
)
@with_errors_shown
def ui(results: Path, tracking_uri: str | None, port: int) -> None:
    """Serve MLflow's UI for the results until Ctrl-C. Only this machine can reach it.

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
    if uri.startswith(SQLITE):
        rebind(sqlite_path(uri), folder.artifacts)
    command = ui_command(uri, port)
    if command:
        _refuse_taken(port)
    say(f"MLflow: {ui_url(uri, port)}")
    if command:
        os.execvpe(command[0], command, os.environ | ui_environment(uri))  # signals then reach the server itself


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise SweepError(f"port {port} can't be used ({error.strerror}); give another with --port") from None
