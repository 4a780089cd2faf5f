"""Every sweep that ships plans under each of its profiles, costs what it says, and is in the index."""

import re
from pathlib import Path

import pytest

from sweeper.planning.expand import expand
from sweeper.planning.searched import searches_of
from sweeper.sweepfile.sweep import load
from tests.contracts.shipped import GRIDS, SEARCHES
from tests.places import ROOT

SWEEPS = ROOT / "sweeps"


@pytest.mark.parametrize("path", GRIDS, ids=[path.stem for path in GRIDS])
def test_a_shipped_sweep_plans_under_every_profile_as_many_trials_as_its_header_says(path: Path) -> None:
    sweep = load(path)
    counts = {"all": len(expand(sweep))} | {profile: len(expand(sweep, profile)) for profile in sweep.profiles}
    told = ", ".join(f"{name} {count}" for name, count in counts.items())
    assert f"# Trials: {told}\n" in path.read_text(encoding="utf-8")
    assert sweep.name == path.stem
    assert sweep.tables or sweep.figures


@pytest.mark.parametrize("path", SEARCHES, ids=[path.stem for path in SEARCHES])
def test_a_shipped_search_makes_the_proposals_that_its_header_and_the_index_say(path: Path) -> None:
    sweep = load(path)
    assert sweep.search is not None and sweep.search.confirm is not None and sweep.name == path.stem
    searches, confirm = len(searches_of(sweep)), sweep.search.confirm
    proposals, confirmations = searches * sweep.search.trials, searches * confirm.best * len(confirm.seeds)
    assert f"# Trials: {proposals} proposals, {confirmations} confirmations\n" in path.read_text(encoding="utf-8")
    index = (SWEEPS / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in index.splitlines() if line.startswith(f"| [{path.name}]({path.name}) |")]
    assert f"| {proposals} and {confirmations} |" in row and f"| {sweep.question} |" in row


@pytest.mark.slow
def test_the_index_lists_every_sweep_and_profile_with_its_number_of_trials() -> None:
    index = (SWEEPS / "README.md").read_text(encoding="utf-8")
    sweeps = {path: load(path) for path in GRIDS}
    files = [(f"[{path.name}]({path.name})", len(expand(sweep))) for path, sweep in sweeps.items()]
    profiles = [(sweep.name, name, len(expand(sweep, name))) for sweep in sweeps.values() for name in sweep.profiles]
    listed = re.findall(r"^\| (\[.+?\)) \|.*\| (\d+) \|", index, re.MULTILINE)
    assert [(name, int(count)) for name, count in listed] == files
    listed = re.findall(r"^\| (\w+) \| `(\w+)` \| (\d+) \|", index, re.MULTILINE)
    assert [(name, profile, int(count)) for name, profile, count in listed] == profiles


def test_the_complete_file_of_the_page_about_sweep_files_is_a_sweep_that_plans(tmp_path: Path) -> None:
    assert "(../docs/sweep-file.md)" in (SWEEPS / "README.md").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "sweep-file.md").read_text(encoding="utf-8")
    path = tmp_path / "my_question.yaml"
    path.write_text(page.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    sweep = load(path)
    # Three inner_steps by three rates by two zeroings, less three excluded cells, on three seeds.
    assert len(expand(sweep)) == (3 * 3 * 2 - 3) * 3
    assert len(expand(sweep, "smoke")) == 6


def test_the_long_profile_goes_on_with_a_trial_of_the_cpu_profile() -> None:
    sweep = load(SWEEPS / "zeroing_vs_steps.yaml")
    short = {spec.trial_id: spec for spec in expand(sweep, "cpu")}
    (long,) = expand(sweep, "long")
    assert long.trial_id in short
    assert long.target > short[long.trial_id].target
