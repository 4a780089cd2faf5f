"""Each option that a user sees says what it does."""

from collections.abc import Iterator

import click

from sweeper.cli import main


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield `command` and every command below it, each with the words that name it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, f"{path} {name}")


def test_each_option_of_each_command_has_help():
    found = dict(commands(main, "sweeper"))
    assert {"sweeper run", "sweeper data get"} <= found.keys()
    silent = [
        f"{path} {option.opts[0]}"
        for path, command in found.items()
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden and not option.help
    ]
    assert silent == []
