"""Data sets of one's own as their user meets them: add, list, show, plan, run, report, export, import, remove."""

import json
import re
import shutil
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from sweeper.cli import main
from sweeper.errors import SweepError
from sweeper.planning.expand import expand
from sweeper.reporting import raw_folder
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load
from tests.trainers.data.added.drawn import folders
from trainers.data.added import shelf

SWEEP = """\
version: 1
name: animals
question: Does the machinery work on pictures of one's own?
fixed:
  dataset: zoo
  channels: 4
  order: first
  ways: 2
  shots: 1
  queries: 2
  meta_batch_size: 2
  outer_steps: 2
  eval_every: 2
  eval_episodes: 2
matrix:
  inner_steps: [1, 2]
seeds: 1
endpoint: {metric: test_accuracy, head: zeroed, steps: inner_steps, at: last, window: 1}
report:
  tables: [{rows: [], columns: inner_steps}]
"""
RUN = ("run", "animals.yaml", "--executor", "inline", "--tracking-uri", "none", "--device", "cpu")


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def done(*words: object) -> str:
    result = run(*words)
    assert result.exit_code == 0, result.stderr
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Return a folder with pictures, a sweep of two trials on them, trained, and its cache."""
    root = tmp_path_factory.mktemp("lab")
    folders(root / "pictures", {"ant": 5, "fox": 4}, side=28)
    (root / "animals.yaml").write_text(SWEEP)
    with chdir(root), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEPER_CACHE", str(root / "cache"))
        done("data", "add", "zoo", "pictures")
        done(*RUN)
    return root


@pytest.fixture
def own(lab, tmp_path, monkeypatch):
    """Return a copy of the lab, as the current folder, with its cache."""
    shutil.copytree(lab, tmp_path / "own")
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "own" / "cache"))
    monkeypatch.setattr(shelf, "_elsewhere", {})
    monkeypatch.chdir(tmp_path / "own")
    return tmp_path / "own"


def test_adding_prints_the_array_alone_and_says_what_it_holds(own):
    result = run("data", "add", "again", "pictures", "--normalise", "none")
    assert result.exit_code == 0 and Path(result.stdout.strip()).parent == own / "cache" / "added"
    assert "again: added: 7 classes of 3 to 5 images, 1x28x28; classes: 3 train, 2 val, 2 test" in result.stderr
    assert "again: read as class folders in test, train, val; digest " in result.stderr
    assert "again: was added before" in run("data", "add", "again", "pictures", "--normalise", "none").stderr


def test_a_folder_with_faults_ends_with_2_and_one_message(own):
    (own / "pictures" / "val" / "eel" / "0.png").write_bytes(b"")
    (own / "pictures" / "val" / "yak").mkdir()
    result = run("data", "add", "other", "pictures")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        f"other: nothing was added, because of 2 faults in {own / 'pictures'}:",
        "  val/yak: no pictures in this class folder; put some there, or remove it",
        "  val/eel/0.png: is empty",
    ]


def test_list_says_how_large_it_is_and_which_sweeps_use_it(own):
    lines = run("data", "list").stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("zoo "))
    assert "7 x 3-5 of 1x28x28" in lines[at] and "train 3 val 2 test 2" in lines[at]
    assert lines[at].endswith(f"added, {own.parent.parent / 'lab0' / 'pictures'}") or "added, " in lines[at]
    assert lines[at + 1].split() == ["used", "by", "animals", "(2", "trials)"]
    (entry,) = [entry for entry in json.loads(run("data", "list", "--json").stdout) if entry["name"] == "zoo"]
    assert (entry["used_by"], entry["images"], entry["size"], entry["added"]) == ({"animals": 2}, 24, 24 * 784, True)


def test_the_sweep_is_planned_as_done_and_its_journals_name_the_digest(own):
    assert done("plan", "animals.yaml").count("done") >= 2
    digest = shelf.here("zoo").digest
    assert json.loads((own / "results" / "digests.json").read_text()) == {"zoo": digest}
    first = next((own / "results" / "trials").glob("*/journal.jsonl")).read_text().splitlines()[0]
    assert (json.loads(first)["digest"], json.loads(first)["config"]["dataset"]) == (digest, "zoo")


def test_verify_and_doctor_read_the_array(own):
    assert run("data", "verify", "zoo").stdout == "zoo: good\n"
    found = json.loads(run("doctor", "--json").stdout)
    assert [check["verdict"] for check in found if check["name"] == "data zoo"] == ["ok"]
    path = shelf.array_of(shelf.here("zoo"))
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert run("data", "verify", "zoo").exit_code == 1
    found = json.loads(run("doctor", "--json").stdout)
    assert [check["verdict"] for check in found if check["name"] == "data zoo"] == ["bad"]


def test_removing_what_trials_use_needs_yes_and_leaves_the_results_readable(own):
    result = run("data", "remove", "zoo")
    assert result.exit_code == 2 and "zoo is used by animals (2 trials) in results" in result.stderr
    assert run("data", "remove", "zoo", "--yes").stderr == "zoo: removed\n"
    assert "zoo" not in [line.split()[0] for line in run("data", "list").stdout.splitlines()]
    assert done("plan", "animals.yaml").count("done") >= 2
    assert re.search(r"^done +2$", done("status", "animals.yaml"), re.M)
    (own / "animals.yaml").write_text(SWEEP.replace("seeds: 1", "seeds: 2"))
    result = run(*RUN)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1 and "zoo: this machine lacks the data set with digest " in result.stderr
    done("data", "add", "zoo", "pictures")
    assert "4 planned: 4 done" in done(*RUN)


def test_an_archive_carries_what_is_known_of_the_set(own, tmp_path, monkeypatch):
    done("export", "animals.yaml", "--out", tmp_path / "animals.zip")
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "nothing"))
    (tmp_path / "there").mkdir()
    shutil.copy(own / "animals.yaml", tmp_path / "there")
    monkeypatch.chdir(tmp_path / "there")
    monkeypatch.setattr(shelf, "_elsewhere", {})
    assert "2" in done("import", tmp_path / "animals.zip")
    assert Results.at(Path("results")).dataset("zoo").is_file()
    assert done("plan", "animals.yaml").count("done") >= 2
    assert re.search(r"^done +2$", done("status", "animals.yaml"), re.M)


def test_raw_data_of_a_report_carry_it_too(own, tmp_path, monkeypatch):
    files = raw_folder.question_files(load(own / "animals.yaml"), None, [])
    assert sorted(files) == ["dataset-zoo.json", "question.json", "sweep.yaml"]
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    shelf.remove("zoo")
    assert len(expand(raw_folder.own_sweep(tmp_path))) == 2
    (tmp_path / "dataset-zoo.json").write_text("{}")
    with pytest.raises(SweepError, match="is no description of a data set"):
        raw_folder.own_sweep(tmp_path)


def test_a_set_that_nobody_knows_is_told_at_its_line(own, monkeypatch, tmp_path):
    monkeypatch.setattr(shelf, "_elsewhere", {})
    (own / "animals.yaml").write_text(SWEEP.replace("dataset: zoo", "dataset: zebras"))
    result = run("plan", "animals.yaml")
    assert result.exit_code == 2
    assert result.stderr == (
        "animals.yaml:5:12: fixed.dataset: must be 'omniglot', 'strokes', 'mini_imagenet' or 'zoo', got 'zebras'; add "
        "it with `sweeper data add zebras FOLDER`\n"
    )


@pytest.mark.parametrize(
    ("more", "rows", "width"), [((), 2, 3), (("--shots", 2, "--queries", 1, "--of", "test"), 2, 3)]
)
def test_an_episode_is_shown_as_a_picture(own, more, rows, width):
    name = run("data", "show", "zoo", "--ways", 2, "--out", "it.png", *more)
    assert (name.exit_code, name.stdout) == (0, "it.png\n"), name.stderr
    image = np.asarray(Image.open("it.png").convert("L"))
    assert image.shape[0] > rows * 56 and image.shape[1] > width * 56
    assert image.std() > 20


def test_an_episode_of_a_trial_is_shown(own):
    result = run("data", "show", "zoo", "--sweep", "animals.yaml", "--trial", "inner_steps=2", "--episode", 3)
    assert (result.exit_code, result.stdout) == (0, "zoo-train-3.png\n"), result.stderr
    beyond = run("data", "show", "zoo", "--sweep", "animals.yaml", "--episode", 4)
    assert beyond.exit_code == 2 and "draws training episodes 0 to 3" in beyond.stderr


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("show", "zebras"), "zebras: this machine has no data set of this name"),
        (("show", "zoo", "--ways", 9), "ways: 9 ways, but zoo has a split of 2 classes"),
        (("show", "zoo", "--shots", 9), "shots: shots + queries = 9 + 1 = 10, but zoo has 3 images of class bee"),
        (("show", "zoo", "--trial", "x"), "give --sweep FILE as well"),
        (("show", "zoo", "--ways", 2, "--sweep", "animals.yaml"), "--ways: the sweep file says it"),
        (("show", "strokes", "--sweep", "animals.yaml"), "no such trial uses data set strokes; they use zoo"),
        (("remove", "omniglot"), "omniglot is built in and can't be removed"),
        (("remove", "zebras"), "zebras: no such data set was added on this machine; added are zoo"),
        (("add", "omniglot", "pictures"), "omniglot is built in; choose another name"),
        (("add", "zoo", "pictures", "--split", "3/2/2"), "the folder itself says which class is in which split"),
        (("add", "zoo", "pictures", "--normalise", "none"), "zoo: is another data set already"),
        (("get", "zebras"), "'zebras' is not one of 'omniglot', 'strokes', 'mini_imagenet', 'zoo'"),
    ],
)
def test_what_goes_wrong_is_one_message_and_exit_code_2(own, words, what):
    result = run("data", *words)
    assert result.exit_code == 2 and what in result.stderr, result.stderr
    assert "Traceback" not in result.stderr
