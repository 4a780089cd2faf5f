"""The `sweeper` command: each subcommand parses, calls the library, and formats; loaded only when it is named."""

import importlib
import logging

import click

_COMMANDS = {
    "data": "List, fetch and verify the data sets.",
    "plan": "Show every trial of a sweep and where it stands.",
    "report": "Write a sweep's tables and figures from the tracked runs.",
    "run": "Run what a sweep still lacks.",
    "status": "Count a sweep's trials by where they stand.",
    "sync": "Bring the tracking store up to the journals.",
    "ui": "Open MLflow on the results' tracking store.",
}


class _LazyGroup(click.Group):
    """A group whose help needs no command's imports, so that it answers at once."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        return getattr(importlib.import_module(f"sweeper.cli.{name}"), name)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sweeper")
def main() -> None:
    """Sweeps of few-shot meta-learning: one YAML file states a question as a grid.

    \b
    Exit codes: 0 all is well; 1 a check failed; 2 bad input; 3 trials failed or
    diverged; 4 the environment gave out; 130 and 143 ended by a signal.
    """
    trainers = logging.getLogger("trainers")  # tells of what a data set does once and takes a while over
    if not trainers.handlers:
        trainers.addHandler(logging.StreamHandler())
        trainers.setLevel(logging.INFO)
