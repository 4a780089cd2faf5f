"""The site builds without a warning, needs no other host, and its references hold every command and every field."""

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from sweeper.cli import main
from tests.places import ROOT
from trainers.maml.config import TrialConfig

pytestmark = pytest.mark.slow  # one build takes seconds


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


def words(page: Path) -> str:
    """The text of a page as a reader sees it, with one blank wherever there is white space."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))).split())


def every_command(command: click.Command = main, path: str = "sweeper") -> dict[str, click.Command]:
    """Every command by its full name, groups and what they hold."""
    inner = {}
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner |= every_command(command.get_command(click.Context(command), name), f"{path} {name}")
    return {path: command, **inner}


@pytest.mark.parametrize("path", every_command())
def test_a_command_is_on_the_site_with_its_usage_help_and_options(site, path):
    text = words(site / "cli.html")
    command = every_command()[path]
    assert f"{path} [OPTIONS]" in text
    for paragraph in command.help.replace("\b", "").replace("`", "").split("\n\n"):
        assert " ".join(paragraph.split()) in text
    for option in (option for option in command.params if not getattr(option, "hidden", False)):
        assert all(name in text for name in option.opts if name.startswith("--"))
        assert " ".join((getattr(option, "help", None) or "").split()) in text


def test_every_config_field_is_on_the_site_with_its_default_and_meaning(site):
    text = words(site / "config.html")
    for name, field in TrialConfig.model_fields.items():
        assert f'id="{name}"' in (site / "config.html").read_text(encoding="utf-8")
        description = field.description or "the data set"
        assert description[1:] in text
    assert "whole number from 2; default 5" in text  # ways
    assert "number above 0; default 1e-05" in text  # bn_eps
    assert "one of all, head or null; default null" in text  # eval_adapts


def test_no_page_loads_anything_from_another_host(site):
    loading = re.compile(
        r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["']?(?:https?:)?//[^>]*>|url\(["']?https?:"""
    )
    for path in site.rglob("*"):
        if path.suffix in (".html", ".css"):
            assert not loading.search(path.read_text(encoding="utf-8")), path
