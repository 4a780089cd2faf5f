"""The page about one's own data: its code runs, its commands print what it shows, and its sweep plans its trials."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sweeper.cli import main
from sweeper.planning.expand import expand
from sweeper.sweepfile.sweep import load
from tests.places import ROOT
from tests.sweeper.command import sweeper
from tests.trainers.data.added.drawn import folders, pixels, save
from trainers.data.added import tables

PAGE = (ROOT / "docs" / "own_data.md").read_text(encoding="utf-8")


def block(language: str, beginning: str) -> str:
    """Return the block of the page that begins so, without the fence."""
    found = re.findall(rf"^```{language}\n({re.escape(beginning)}.*?)^```", PAGE, re.M | re.S)
    assert len(found) == 1, beginning
    return found[0]


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Return a folder in which the page's first example was followed up to its sweep, and what `data add` printed."""
    pytest.importorskip("sklearn")
    root = tmp_path_factory.mktemp("digits")
    (root / "write_digits.py").write_text(block("python", "# write_digits.py"))
    subprocess.run([sys.executable, "write_digits.py"], cwd=root, check=True)
    (root / "digits.yaml").write_text(block("yaml", "# digits.yaml"))
    shown = block("text", "$ sweeper data add digits").splitlines()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEPER_CACHE", str(root / "cache"))
        patch.chdir(root)
        ended = CliRunner().invoke(main, shown[0].removeprefix("$ sweeper ").split())
        assert ended.exit_code == 0, ended.stderr
        assert ended.stderr.splitlines() == shown[1:-1]
        assert Path(ended.stdout.strip()).name == Path(shown[-1]).name
    return root


@pytest.fixture
def there(digits, monkeypatch):
    monkeypatch.setenv("SWEEPER_CACHE", str(digits / "cache"))
    monkeypatch.chdir(digits)
    return digits


@pytest.mark.slow
def test_the_sweep_of_the_page_plans_the_trials_that_it_shows(there):
    shown = set(re.findall(r"^([0-9a-f]{16}) ", block("text", "$ sweeper plan digits.yaml"), re.M))
    assert len(shown) > 2
    assert shown == {spec.trial_id for spec in expand(load(there / "digits.yaml"))}


@pytest.mark.slow
def test_the_episode_of_the_page_is_drawn(there):
    words = re.search(r"^    sweeper (data show digits .*)$", PAGE, re.M)[1].split()
    assert CliRunner().invoke(main, words).exit_code == 0
    assert Path("digits-train-0.png").stat().st_size > 1000


@pytest.mark.slow
def test_the_sweep_of_the_page_runs(there):
    text = (there / "digits.yaml").read_text().replace("seeds: 3", "seeds: 1")
    for field, short in (("outer_steps", 20), ("eval_every", 10), ("eval_episodes", 10)):
        text, count = re.subn(rf"{field}: \d+", f"{field}: {short}", text)
        assert count == 1
    (there / "digits.yaml").write_text(text)
    ended = sweeper("run", "digits.yaml", "--executor", "inline", "--tracking-uri", "none", cwd=there)
    assert ended.code == 0, ended.out + ended.err


def test_the_table_of_the_page_is_read(tmp_path):
    text = block("csv", "file,class,split")
    (tmp_path / "labels.csv").write_text(text)
    for line in text.splitlines()[1:]:
        save(tmp_path / line.split(",")[0], pixels(0, 0))
    listing = tables.listed(tmp_path, tables.tables_in(tmp_path))
    assert listing.faults == []
    assert [(one.name, one.split, len(one.pictures)) for one in listing.classes] == [
        ("wren", "train", 2),
        ("robin", "test", 1),
    ]


def test_the_message_of_the_page_is_what_such_a_folder_gives(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    folder = folders(tmp_path / "zoo", channels=3)
    (folder / "train" / "yak").mkdir()
    for name in ("1.png", "2.png"):
        (folder / "val" / "dog" / name).unlink()
    (folder / "train" / "ant" / "1.png").write_bytes(b"")
    save(folder / "test" / "gnu" / "0.png", pixels(0, 0, 1))
    shown = block("text", "$ sweeper data add zoo").splitlines()
    ended = CliRunner().invoke(main, shown[0].removeprefix("$ sweeper ").split())
    assert ended.exit_code == 2
    assert ended.stderr.splitlines() == [line.replace("/home/me", os.fspath(tmp_path)) for line in shown[1:]]
