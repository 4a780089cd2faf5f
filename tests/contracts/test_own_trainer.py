"""Every code block of the pages about one's own trainer or network works: its first line names its file."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sweeper.planning.expand import expand
from sweeper.planning.named_code_checks import check_named_code
from sweeper.sweepfile.sweep import load
from tests.budget import LONG
from tests.places import ROOT
from tests.sweeper.command import environment, sweeper
from trainers.fields import fields_of
from trainers.metrics import metrics_of
from trainers.registry import find
from trainers.testing import check_growth, check_resume
from trainers.trainer import Reference

PAGES = {
    name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("own_trainer", "own_network", "tutorial_script")
}


def blocks(page: str) -> dict[str, str]:
    found = re.findall(r"^```(?:python|yaml)\n(# (\S+)\n.*?)^```", PAGES[page], re.M | re.S)
    return {name: text for text, name in found}


SWEEPS = [(page, name) for page in PAGES for name in blocks(page) if name.endswith(".yaml")]
CELL = re.compile(r"^(?:hinge|log_loss)?\s+0\.\d+\s+0\.[89]\d+\s+0\.0\d+\s+3$", re.M)
"""A line of the table that pandas prints: step size, mean, standard deviation, count."""
SHORTER = (
    (
        "outer_steps: 20, eval_every: 20, eval_episodes: 20",
        "outer_steps: 2, eval_every: 2, eval_episodes: 2, queries: 2",
    ),
    ("step_size: [0.001, 0.1]", "step_size: [0.001]"),
    ("seeds: 3", "seeds: 1"),
)
"""What the pages' sweeps have, and what a test of them has: each trial of a script starts a program."""
NEEDS_SCIKIT = {"function.yaml", "script.yaml"}


@pytest.fixture
def lab(tmp_path):
    """Write the blocks of a page into a folder."""

    def written(page: str) -> Path:
        for name, text in blocks(page).items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path

    return written


def module(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    found = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = found
    spec.loader.exec_module(found)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_code_has_a_name(page):
    assert len(re.findall(r"^```(?:python|yaml)\n", PAGES[page], re.M)) == len(blocks(page)) > 3


@pytest.mark.parametrize(("page", "name"), SWEEPS)
def test_a_sweep_of_the_page_plans_the_trials_that_it_shows(page, name, lab):
    if name in NEEDS_SCIKIT:
        pytest.importorskip("sklearn")
    planned = {spec.trial_id for spec in expand(load(lab(page) / name))}
    assert planned
    for shown in re.findall(rf"\$ sweeper plan {name}\n(.*?)```", PAGES[page], re.S):
        ids = set(re.findall(r"^([0-9a-f]{16}) ", shown, re.M))
        assert len(ids) > 2
        assert ids <= planned


@pytest.mark.slow
@pytest.mark.parametrize(("page", "name"), SWEEPS)
def test_a_sweep_of_the_page_runs(page, name, lab):
    if name in NEEDS_SCIKIT:
        pytest.importorskip("sklearn")
    path = lab(page) / name
    text = path.read_text(encoding="utf-8")
    for whole, short in SHORTER:
        text = text.replace(whole, short)
    path.write_text(text, encoding="utf-8")
    own = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = sweeper("run", name, "--executor", "inline", cwd=path.parent, PATH=own)
    assert done.code == 0, done.out + done.err
    assert re.search(r"^(\d+) planned: \1 done$", done.err, re.M), done.err


def test_both_configs_of_the_page_are_the_same(lab):
    found = module(lab("own_trainer") / "fields.py")
    assert fields_of(found.Config, "page") == fields_of(found.SameConfig, "page")
    metrics = module(lab("own_trainer") / "metrics.py").METRICS
    assert metrics_of(metrics, "page") == metrics


def test_the_tests_of_the_page_pass(lab, monkeypatch):
    folder = lab("own_trainer")
    monkeypatch.syspath_prepend(folder)
    found = module(folder / "test_resuming.py")
    found.test_it_grows_to_the_bit()
    found.test_it_resumes_to_the_bit()


@pytest.mark.slow
def test_the_tests_of_the_page_about_networks_pass(lab, monkeypatch, tmp_path_factory, drawn_before):
    found = module(lab("own_network") / "test_nets.py")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found.test_it_resumes_to_the_bit(tmp_path_factory.mktemp("data"))
    torch.set_num_threads(threads)


def test_every_network_of_the_page_is_sound(lab):
    folder = lab("own_network")
    for name in ("nets.yaml", "nets_protonet.yaml"):
        sweep = load(folder / name)
        check_named_code(sweep, expand(sweep))


def test_the_class_of_the_page_is_a_whole_trainer(lab):
    drift = find(Reference("drift.py:drift", str(lab("own_trainer"))))
    check_growth(drift, {"seed": 1}, 5, 12)
    check_resume(drift, {"seed": 1})


def test_the_network_of_the_page_grows_and_resumes_to_the_bit(lab):
    net = find(Reference("net.py:net", str(lab("own_trainer"))))
    check_growth(net, {"seed": 1}, 2, 5)
    check_resume(net, {"seed": 1, "steps": 4})


@pytest.mark.slow
def test_the_program_of_the_page_grows_and_resumes(lab):
    given = load(lab("own_trainer") / "walk.yaml").reference.says
    command = given["command"].replace("python", sys.executable)
    program = find(Reference({**given, "command": command}, str(lab("own_trainer"))))
    check_growth(program, {"rate": 1.0, "seed": 1}, 12, 25)
    check_resume(program, {"rate": 1.0, "seed": 1}, chunk_s=0.02, at_most=2)


@pytest.mark.slow
def test_the_same_sweep_in_ray_tune_gives_its_table(lab):
    """Only in `make test-long`: a Ray as people start it has limits of time that a busy machine breaks."""
    if not LONG:
        pytest.skip("make test-long runs Ray Tune as people use it, which loses its workers beside other tests")
    pytest.importorskip("sklearn")
    own = environment(HOME=str(lab("tutorial_script")))  # Ray Tune writes there
    done = subprocess.run(
        [sys.executable, "with_ray_tune.py"], cwd=lab("tutorial_script"), env=own, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(CELL.findall(done.stdout)) == 4


@pytest.mark.slow
def test_the_same_sweep_in_optuna_gives_its_table(lab):
    pytest.importorskip("sklearn")
    done = subprocess.run(
        [sys.executable, "with_optuna.py"], cwd=lab("tutorial_script"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(CELL.findall(done.stdout)) == 4


@pytest.mark.slow
def test_the_example_grows_and_resumes_to_the_bit():
    pytest.importorskip("sklearn")
    digits = find(Reference("digits.py:digits", str(ROOT / "examples")))
    values = {"seed": 1, "wrong_labels": 0.2, "loss": "log_loss"}
    check_growth(digits, values, 2, 4)
    check_resume(digits, values | {"epochs": 3})
    assert len(expand(load(ROOT / "examples" / "digits.yaml"))) == 60
