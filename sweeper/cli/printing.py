"""Printing for all commands, also after the reader of their output is gone. Decides no exit code."""

import sys

import click

from sweeper.host.streams import silence


class ReaderGoneError(Exception):
    """The reader of standard output is gone, so a command that only prints can end."""


def say(text: str) -> None:
    """Print `text` to stderr, as progress. It is dropped if the reader is gone."""
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
    """Print `text` to standard output. If its reader is gone, the command goes on with the same exit code."""
    try:
        print_out(text, nl=nl)
    except ReaderGoneError:
        return
