"""The `sweeper` command. Each subcommand parses, calls the library and prints; it is imported only when it is named.

Owns the words on the terminal and the exit codes. Decides nothing about trials.
"""

import gc
import importlib
import io
import keyword
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from sweeper.cli.terminal.printing import OutputError, say
from sweeper.host.streams import open_closed, silence
from sweeper.host.system import WITHOUT_LOCKS, has_locks
from sweeper.tracking import pushing_thread

_COMMANDS = {
    "data": "List, get and verify the data sets.",
    "doctor": "Check this machine, its folders and its tracking store.",
    "export": "Write a sweep's journals and checkpoints into one archive.",
    "import": "Merge an archive into a results folder.",
    "init": "Write a commented sweep file to begin with.",
    "logs": "Print a trial's log, even while it trains.",
    "plan": "Show every trial of a sweep and its state.",
    "report": "Write a sweep's tables and figures from the tracked runs.",
    "run": "Train the trials of a sweep that are not finished.",
    "schema": "Print the JSON schema of sweep files, for editors.",
    "status": "Count a sweep's trials by state.",
    "stop": "Save and end a run, or one trial of it, from another shell.",
    "sync": "Bring the tracking store up to date with the journals.",
    "theory": "Check the formulas of the paper, and this code, by computing them.",
    "ui": "Open MLflow on the results' tracking store.",
}

COMPLETING = "_SWEEPER_COMPLETE"
"""The environment variable with which a shell asks for completions."""


class _LazyGroup(click.Group):
    """A group whose help imports no command, so that it is fast."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Run the command and exit the process without waiting for a tracking store."""
        open_closed()
        if COMPLETING in os.environ:
            from sweeper.cli.completion import register

            register()
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # to look for them takes a tenth of `plan`
        try:
            return super().__call__(*arguments, **options)
        except SystemExit as ended:
            if pushing_thread.at_work():
                _leave(int(ended.code or 0))
            gc.freeze()  # Python's own exit would search all objects for garbage, an eighth of `plan`
            raise

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        with _click_shown():
            return super().make_context(*arguments, **options)

    def invoke(self, context: click.Context) -> Any:
        with _click_shown():
            return super().invoke(context)

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module = f"{name}_" if keyword.iskeyword(name) else name  # `import` lives in import_.py
        with _no_garbage_searched():
            return getattr(importlib.import_module(f"sweeper.cli.{module}"), module)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@contextmanager
def _no_garbage_searched() -> Iterator[None]:
    """Spare the collector's searches while modules are imported, which leave next to no garbage."""
    searching = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searching:
            gc.enable()


@contextmanager
def _click_shown() -> Iterator[None]:
    """Print what click says itself (help, wrong options, errors of commands), whatever the streams are."""
    try:
        yield
    except click.ClickException as error:
        text = io.StringIO()
        error.show(text)
        if text.getvalue():
            say(text.getvalue().removesuffix("\n"))
        raise click.exceptions.Exit(error.exit_code) from None
    except BrokenPipeError:  # a command's own are told by the command
        silence(sys.stdout)
        raise click.exceptions.Exit(0) from None
    except OSError as error:
        silence(sys.stdout)
        say(f"standard output can't be written ({error.strerror})")
        raise click.exceptions.Exit(OutputError.exit_code) from None


class _Said(logging.Handler):
    """Prints the log records of a library as progress."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record))


def _leave(code: int) -> None:
    """End the process at once. Python's own exit waits for pending requests, and kills threads inside C++."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # the reader may be gone
            stream.flush()
    os._exit(code)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sweeper")
def main() -> None:
    """Run sweeps of few-shot meta-learning. One YAML file states a question as a grid.

    \b
    Exit codes: 0 success; 1 a check failed; 2 bad input; 3 trials failed,
    diverged or are unfinished; 4 the environment failed; 130 and 143 ended by
    a signal.
    """
    if not has_locks():
        raise click.UsageError(WITHOUT_LOCKS)
    try:
        Path.cwd()
    except OSError as error:
        raise click.UsageError(f"the current folder is gone ({error.strerror}); go to another with cd") from None
    trainers = logging.getLogger("trainers")  # logs slow work that is done once for a data set
    if not trainers.handlers:
        trainers.addHandler(_Said())
        trainers.setLevel(logging.INFO)
