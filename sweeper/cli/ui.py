"""`sweeper ui`: open MLflow on the store of a results folder, at the tables of its sweeps."""

import os
import socket
import sys
from pathlib import Path

import click

from sweeper.cli.options import results_option, tracking_option, with_errors_shown
from sweeper.cli.terminal.browser import can_open, open_later
from sweeper.cli.terminal.printing import say
from sweeper.errors import SweepError, TrackingError
from sweeper.host.streams import join_streams
from sweeper.results.paths import Results
from sweeper.tracking.address import SQLITE, resolve_uri, sqlite_path, ui_command, ui_environment, ui_url
from sweeper.tracking.experiments import experiments_of
from sweeper.tracking.moved_store import rebind
from sweeper.tracking.saved_view import link


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
@click.option(
    "--open/--no-open",
    "opens",
    default=None,
    help="Open the newest sweep in a browser [default: open it if the command runs in a terminal].",
)
@with_errors_shown
def ui(results: Path, tracking_uri: str | None, port: int, opens: bool | None) -> None:
    """Serve MLflow's UI for the results until Ctrl-C, and print a link to the table of each sweep.

    A table has a row for each cell, with n, mean, sd and the 95 % interval of the mean, and the trials of a cell below
    it. Only this machine can reach the UI.

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
    first = _print_links(uri, ui_url(uri, port).rstrip("/"), served=bool(command))
    if opens or (opens is None and sys.stderr.isatty() and can_open()):
        open_later(port, first) if command else click.launch(first)
    if command:
        join_streams()  # the server goes on when nobody reads stdout
        os.execvpe(command[0], command, os.environ | ui_environment(uri))  # signals then reach the server itself


def _print_links(uri: str, base: str, *, served: bool) -> str:
    """Print the UI's address and a link to each sweep, the newest first; return the first link.

    `served` says whether this command is about to serve the UI. Raises TrackingError if a server
    can't be read.
    """
    try:
        found = experiments_of(uri)
    except TrackingError as error:
        if not served:
            raise
        say(str(error))  # the UI itself may still say more
        found = []
    say(f"MLflow: {base}{' (answers in a few seconds; Ctrl-C stops it)' if served else ''}")
    links = [link(base, one.experiment_id, saved=one.saved) for one in found]
    for one, address in zip(found, links, strict=True):
        say(f"{one.name}: {address}")
    if bare := [one.name for one in found if not one.saved]:
        say(
            f"{', '.join(bare)}: shown by an earlier version, without cells above their trials; "
            f"`sweeper sync FILE` with the sweep's file brings the store to the new form"
        )
    return links[0] if links else base


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise SweepError(f"port {port} can't be used ({error.strerror}); give another with --port") from None
