"""Printing for all commands, also after the reader of their output is gone. Decides no exit code."""

import os
import re
import sys
from pathlib import Path

import click

from sweeper.errors import SweepError
from sweeper.host.streams import silence

_UNSEEN = re.compile(
    "(?P<style>\x1b\\[[0-9;]*m)"
    "|[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
"""Styles of a terminal, and characters that are not seen: control characters, marks of direction, half characters."""


class ReaderGoneError(Exception):
    """The reader of standard output is gone, so a command that only prints can end."""


class OutputError(SweepError):
    """Standard output can't be written, for example to a full disk."""

    exit_code = 4


def printable(text: str) -> str:
    """Return `text` with characters that are not seen as escapes, e.g. \\u202e. Lines, tabs and styles stay."""
    return _UNSEEN.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0][0])
    if found["style"]:
        return found[0]
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def say(text: str) -> None:
    """Print `text` to stderr, as progress. It is dropped if the reader is gone."""
    try:
        click.echo(printable(text), err=True)
    except OSError:
        silence(sys.stderr)


def print_out(text: object, *, nl: bool = True) -> None:
    """Print `text` to standard output for a command that only prints. A path and bytes are printed as they are.

    Raises ReaderGoneError if its reader is gone, and OutputError if it can't be written.
    """
    plain = os.fsencode(text) if isinstance(text, Path) else printable(text) if isinstance(text, str) else text
    try:
        click.echo(plain, nl=nl)
    except BrokenPipeError:
        silence(sys.stdout)
        raise ReaderGoneError from None
    except OSError as error:
        silence(sys.stdout)
        raise OutputError(
            f"standard output can't be written ({error.strerror}); free space where it goes, or send it elsewhere"
        ) from None


def hand_out(text: object, *, nl: bool = True) -> None:
    """Print `text` to standard output. If its reader is gone, the command goes on with the same exit code.

    Raises OutputError if it can't be written.
    """
    try:
        print_out(text, nl=nl)
    except ReaderGoneError:
        return
