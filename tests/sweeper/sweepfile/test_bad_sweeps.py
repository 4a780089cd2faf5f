"""Every mistake in the table is answered with its exact message, and the page that shows them is up to date."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from sweeper.cli.plan import plan
from sweeper.errors import SweepError, SweepFileError
from sweeper.planning.expand import expand
from sweeper.planning.searched import searches_of
from sweeper.sweepfile.sweep import load
from tests.places import ROOT
from tests.sweeper.sweepfile import bad_sweeps
from tests.sweeper.sweepfile.bad_sweeps import GOOD, MISTAKES, SEARCHED, Mistake

PAGE = ROOT / "sweeps" / "MISTAKES.md"
AT_THE_COMMAND = ["No file", "A tab as indentation", "Another version", "Three mistakes at once", "A slip in --profile"]


@pytest.mark.parametrize("mistake", MISTAKES, ids=[f"{mistake.about}: {mistake.title}" for mistake in MISTAKES])
def test_each_mistake_is_answered_to_the_letter(tmp_path: Path, mistake: Mistake) -> None:
    path = tmp_path / "bad.yaml"
    mistake.lay(path)
    with pytest.raises(SweepError) as caught:
        sweep = load(path)
        (searches_of if sweep.search else expand)(sweep, mistake.profile)
    assert caught.value.exit_code == 2
    assert str(caught.value).replace(str(path), "bad.yaml").split("\n") == mistake.says
    if isinstance(caught.value, SweepFileError) and mistake.place is None:
        lines = mistake.text.count("\n") + 1
        assert all(1 <= problem.position.line <= lines for problem in caught.value.problems)


def test_the_file_that_mistakes_are_made_in_is_a_good_one(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert len(expand(load(path))) == 8
    assert len(expand(load(path), "smoke")) == 1
    path.write_text(SEARCHED, encoding="utf-8")
    assert len(searches_of(load(path))) == 2


@pytest.mark.parametrize("title", AT_THE_COMMAND)
def test_the_command_says_the_same_ends_with_2_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, title: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (mistake,) = [mistake for mistake in MISTAKES if mistake.title == title]
    mistake.lay(Path("bad.yaml"))
    before = sorted(tmp_path.rglob("*"))
    result = CliRunner().invoke(plan, ["bad.yaml", *(["--profile", mistake.profile] if mistake.profile else [])])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == mistake.says
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_that_may_not_be_read_is_named_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "bad.yaml").touch()
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SweepFileError, match="1:1: can't be read: Permission denied"):
        load(tmp_path / "bad.yaml")


def test_no_two_mistakes_are_the_same() -> None:
    names = [(mistake.about, mistake.title) for mistake in MISTAKES]
    files = [(mistake.place, mistake.text, mistake.encoding, mistake.profile) for mistake in MISTAKES]
    assert len(set(names)) == len(names)
    assert len(set(files)) == len(files) >= 45


def test_the_page_shows_the_table() -> None:
    hint = "run python -m tests.sweeper.sweepfile.bad_sweeps > sweeps/MISTAKES.md"
    assert PAGE.read_text(encoding="utf-8") == bad_sweeps.page(), hint
