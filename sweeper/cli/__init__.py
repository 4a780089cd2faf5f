"""The `sweeper` command: each subcommand parses, calls the library and prints; it is loaded only when it is named.

Owns words on the terminal and exit codes. Decides nothing about trials: the parts below do.
"""

import importlib
import keyword
import logging
import os
import sys
from contextlib import suppress
from typing import Any

import click

from sweeper.cli.printing import say
from sweeper.host.streams import open_closed
from sweeper.tracking import pushing_thread

_COMMANDS = {
    "data": "List, fetch and verify the data sets.",
    "doctor": "Check this machine, its folders and its tracking store.",
    "export": "Write a sweep's journals and checkpoints into one archive.",
    "import": "Bring a results folder up to an archive.",
    "logs": "Print a trial's log, also while it trains.",
    "plan": "Show every trial of a sweep and where it stands.",
    "report": "Write a sweep's tables and figures from the tracked runs.",
    "run": "Run what a sweep still lacks.",
    "status": "Count a sweep's trials by where they stand.",
    "stop": "Save and end a run, or one trial of it, from another shell.",
    "sync": "Bring the tracking store up to the journals.",
    "theory": "Check the formulas of the paper, and this code, by computing them.",
    "ui": "Open MLflow on the results' tracking store.",
}


class _LazyGroup(click.Group):
    """A group whose help needs no command's imports, so that it answers at once."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Be the whole process: run the command, and exit without waiting for a tracking store."""
        open_closed()
        try:
            return super().__call__(*arguments, **options)
        except SystemExit as ended:
            if pushing_thread.at_work():
                _leave(int(ended.code or 0))
            raise

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module = f"{name}_" if keyword.iskeyword(name) else name  # `import` lives in import_.py
        return getattr(importlib.import_module(f"sweeper.cli.{module}"), module)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


class _Said(logging.Handler):
    """Prints what a library tells as progress."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record))


def _leave(code: int) -> None:
    """End the process at once: Python's own way out waits for requests under way, and cuts threads off inside C++."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # its reader may be gone
            stream.flush()
    os._exit(code)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sweeper")
def main() -> None:
    """Sweeps of few-shot meta-learning: one YAML file states a question as a grid.

    \b
    Exit codes: 0 all is well; 1 a check failed; 2 bad input; 3 trials failed, diverged
    or were left; 4 the environment gave out; 130 and 143 ended by a signal.
    """
    trainers = logging.getLogger("trainers")  # tells of what a data set does once and takes a while over
    if not trainers.handlers:
        trainers.addHandler(_Said())
        trainers.setLevel(logging.INFO)
