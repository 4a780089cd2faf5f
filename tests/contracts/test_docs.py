"""The documents keep up with the code: commands, links, files and fields they name exist."""

import json
import re
from typing import get_args

import click
import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from analysis.contract.question import FigureKind
from sweeper.cli import main
from sweeper.cli.terminal.search_lines import budget
from sweeper.planning.expand import expand
from sweeper.planning.searched import searches_of
from sweeper.search.state import expected_steps
from sweeper.sweepfile import form as sweepfile_form
from sweeper.sweepfile import search_form
from sweeper.sweepfile.search_key import SAMPLERS
from sweeper.sweepfile.sweep import load
from tests.places import ROOT
from trainers.maml.config import TrialConfig
from trainers.maml.trainer import MAML

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
    [path.relative_to(ROOT) for pattern in ("*.md", "docs/**/*.md", "sweeps/*.md") for path in ROOT.glob(pattern)],
    ids=str,
)
def test_relative_links_resolve(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        assert (ROOT / page.parent / target).exists(), target


def test_the_readme_has_at_most_130_lines():
    assert len(README.splitlines()) <= 130


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


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in docs/ that are written in `language`, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.M | re.S)


def keys_of(form: type[BaseModel]) -> set[str]:
    """Every key of a form and of the forms inside it."""
    inner = re.findall(r"\w+Form\b", " ".join(str(field.annotation) for field in form.model_fields.values()))
    forms = vars(search_form) | vars(sweepfile_form)
    return set(form.model_fields).union(*(keys_of(forms[name]) for name in inner))


def test_every_key_of_a_sweep_file_is_on_its_page():
    page = (ROOT / "docs" / "sweep-file.md").read_text(encoding="utf-8")
    keys = keys_of(sweepfile_form.SweepForm)
    assert {"version", "seeds", "between", "facets", "window"} <= keys
    assert not {key for key in keys if f"`{key}`" not in page}
    assert not {name for name in MAML.metrics if f"`{name}`" not in page}
    assert not {name for name in get_args(FigureKind) if f"`{name}`" not in page}


@pytest.mark.parametrize("index", range(len(blocks("sweep-file.md", "yaml"))))
def test_an_example_of_a_sweep_file_plans(index, tmp_path):
    """A part of a file stands in the place of those keys in the page's first, complete one."""
    yaml = YAML(typ="safe", pure=True)
    whole, part = (yaml.load(blocks("sweep-file.md", "yaml")[number]) for number in (0, index))
    path = tmp_path / "my_question.yaml"
    path.write_text(json.dumps(whole | part), encoding="utf-8")
    sweep = load(path)
    for profile in (None, *sweep.profiles):
        assert expand(sweep, profile)


def test_the_file_of_the_tutorial_plans_the_trials_that_it_shows(tmp_path):
    (given,) = blocks("tutorial.md", "yaml")
    path = tmp_path / "inner_lr.yaml"
    page = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^([0-9a-f]{16}) ", page, re.M))
    path.write_text(given.replace("seeds: 3", "seeds: 5"), encoding="utf-8")
    assert len(shown) > 5
    assert shown <= {spec.trial_id for spec in expand(load(path))}


def test_the_search_of_its_page_plans_the_budget_that_the_page_says(tmp_path):
    given, *_ = blocks("search.md", "yaml")
    path = tmp_path / "tuned.yaml"
    path.write_text(given, encoding="utf-8")
    (search,) = searches_of(load(path))
    page = (ROOT / "docs" / "search.md").read_text(encoding="utf-8")
    assert expected_steps(search.rungs, 3, 27) == 630
    assert "= 630 steps instead of 2,430" in page and 27 * 90 == 2430
    assert f"search {search.search_id}  {search.name}: {budget(search)}" in page
    for sampler, options in SAMPLERS.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{sampler}` |"))
        assert all(f"`{name}`" in row for name in options)
