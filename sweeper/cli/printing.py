"""Every line that a command prints, and what happens once nobody reads it; decides no exit code."""

import sys

import click

from sweeper.host.streams import silence


class ReaderGoneError(Exception):
    """The reader of standard output is gone, so that a command that only prints has nothing left to do."""


def say(text: str) -> None:
    """Print `text` where progress goes. The message is dropped if its reader is gone."""
    try:
        click.echo(text, err=True)
    except OSError:
        silence(sys.stderr)


def print_out(text: object, *, nl: bool = True) -> None:
    """Print `text` to standard output for a command that only prints. Raises ReaderGoneError if its reader is gone."""
    try:
        click.echo(text, nl=nl)
    except BrokenPipeError:
        silence(sys.stdout)
        raise ReaderGoneError from None


def hand_out(text: object, *, nl: bool = True) -> None:
    """Print `text` to standard output for a command whose work goes on, and whose code stays, without a reader."""
    try:
        print_out(text, nl=nl)
    except ReaderGoneError:
        return
