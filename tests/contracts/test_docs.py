"""The documents keep up with the code: commands, links, files and fields they name exist."""

import re

import click
import pytest

from sweeper.cli import main
from tests.places import ROOT
from trainers.maml.config import TrialConfig

README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    return main.list_commands(click.Context(main))


@pytest.mark.parametrize("name", commands())
def test_the_help_of_every_command_has_an_example(name):
    command = main.get_command(click.Context(main), name)
    assert "Example:" in command.help
    assert f"sweeper {name}" in command.help


@pytest.mark.parametrize(
    "page",
    [path.relative_to(ROOT) for pattern in ("*.md", "docs/*.md", "sweeps/*.md") for path in ROOT.glob(pattern)],
    ids=str,
)
def test_relative_links_resolve(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        assert (ROOT / page.parent / target).exists(), target


def test_options_the_readme_names_exist():
    known = {option for name in commands() for option in _options(main.get_command(click.Context(main), name))}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    assert named <= known | {"--help"}


def _options(command: click.Command) -> set[str]:
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    own = {text for parameter in command.params for text in parameter.opts}
    return own.union(*(_options(sub) for sub in inner)) if inner else own


def test_every_config_field_says_what_it_is():
    undescribed = {name for name, field in TrialConfig.model_fields.items() if not field.description}
    assert undescribed == {"dataset"}
