"""Bits at the end don't depend on where a real process was killed, on the workers, or on evaluations and probes."""

import json
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch

from sweeper.planning.expand import expand
from sweeper.results.journal_lines import read_lines
from sweeper.results.paths import Results, step_of
from sweeper.sweepfile.sweep import load
from tests.budget import budget
from tests.sweeper.command import start, sweeper
from tests.sweeper.tiny import TINY
from tests.waiting import HANG_S
from trainers.maml.checkpoints.checkpoint import read

pytestmark = pytest.mark.slow

KILLS = budget(4, 12)
SEED = 7
SWEEP = (
    TINY.replace("outer_steps: 4", "outer_steps: 200")
    .replace("eval_every: 2", "eval_every: 30")
    .replace("eval_episodes: 3", "eval_episodes: 10\n  probe_every: 35\n  probe_episodes: 2\n  zero_head_every: 3")
    .replace("seeds: 2", "seeds: 1")
)
HASTY = """
import functools, sweeper.running.session, sweeper.worker.work
sweeper.worker.work.CHECKPOINT_EVERY_S = 0.0
sweeper.running.session.Worker = functools.partial(sweeper.running.session.Worker, chunk_s=0.1)
from sweeper.cli import main
main()
"""
"""`sweeper` with chunks of a tenth of a second and a checkpoint after each: a kill then finds something half done."""


def run(folder: Path, *options: str, results: str = "results"):
    """Run the sweep in `folder` to its end, without a store, and return how it ended."""
    ended = sweeper("run", "tiny.yaml", "--tracking-uri", "none", "--results", results, *options, cwd=folder)
    assert ended.code == 0, ended.err
    return ended


def measured(results: Results) -> dict[str, list[tuple]]:
    """Return every journalled record of every trial in order of writing, without attempts and times."""
    return {
        path.parent.name: [
            (line["step"], line["key"], json.dumps(line["value"]))
            for line in read_lines(path)
            if line["kind"] == "record"
        ]
        for path in (results.root / "trials").glob("*/journal.jsonl")
    }


def last_checkpoint(results: Results, trial_id: str) -> Path:
    return results.trial(trial_id).checkpoints(10**6)[0]


def assert_equal_to_the_undisturbed(found: Results, undisturbed: Results) -> None:
    """Compare records, and the whole last state: parameters, moments, scores and records."""
    expected = measured(undisturbed)
    assert {name: sorted(records) for name, records in measured(found).items()} == {
        name: sorted(records) for name, records in expected.items()
    }
    assert len(expected) == 2
    for trial_id, records in expected.items():
        assert {key for _, key, _ in records} == {"training", "evaluation", "probe", "scores"}
        paths = [last_checkpoint(results, trial_id) for results in (found, undisturbed)]
        assert [step_of(path) for path in paths] == [200, 200]
        assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """Run the sweep once, killed by nobody, with chunks and checkpoints as they are."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "tiny.yaml").write_text(SWEEP)
    run(folder, "--executor", "inline")
    return folder


def progress(results: Results) -> set[Path]:
    return set((results.root / "trials").glob("*/a*/step-*.ckpt"))


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> Path:
    """Kill the sweep at random: once while it loads, else somewhere after its first new checkpoint."""
    print(f"seed {SEED}")
    folder = tmp_path_factory.mktemp("killed")
    (folder / "tiny.yaml").write_text(SWEEP)
    results, moments = Results.at(folder / "results"), random.Random(SEED)
    arguments = ["run", "tiny.yaml", "--executor", "inline", "--tracking-uri", "none"]
    for kill in range(KILLS):
        before = progress(results)
        process = start(arguments, folder, program=HASTY)
        while kill != 1 and progress(results) <= before and process.poll() is None:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.2 if kill != 1 else 0.8))
        process.kill()
        _, err = process.communicate(timeout=HANG_S)
        assert process.returncode == -signal.SIGKILL, err
    return folder


def test_a_process_killed_at_random_moments_ends_with_the_bits_of_one_that_was_not(killed, undisturbed, tmp_path):
    folder = shutil.copytree(killed, tmp_path / "rerun")
    before = {path.parent.name: len(list(read_lines(path))) for path in (folder / "results").rglob("journal.jsonl")}
    assert before  # something was journalled before the last kill
    ended = run(folder, "--executor", "inline")
    assert " running from step " in ended.err
    results = Results.at(folder / "results")
    assert_equal_to_the_undisturbed(results, Results.at(undisturbed / "results"))
    for records in measured(results).values():
        assert len({(step, key) for step, key, _ in records}) == len(records)
    attempts = [sum(line["kind"] == "attempt" for line in read_lines(results.trial(name).journal)) for name in before]
    assert max(attempts) >= 3


@pytest.mark.parametrize("workers", budget(["1"], ["1", "2"]))
def test_what_one_process_began_ray_finishes_with_the_same_bits_however_many_its_workers(
    killed, undisturbed, tmp_path, workers
):
    folder = shutil.copytree(killed, tmp_path / "rerun")
    ended = run(folder, "--workers", workers)
    assert " running from step " in ended.err
    assert_equal_to_the_undisturbed(Results.at(folder / "results"), Results.at(undisturbed / "results"))


def test_another_schedule_of_evaluations_and_probes_trains_the_same_parameters(undisturbed, tmp_path):
    text = SWEEP.replace("eval_every: 30", "eval_every: 0").replace("eval_episodes: 10", "eval_episodes: 3")
    text = text.replace("probe_every: 35", "probe_every: 0")
    (tmp_path / "tiny.yaml").write_text(text)
    run(tmp_path, "--executor", "inline")
    trained = [
        {
            spec.config.inner_steps: read(last_checkpoint(Results.at(folder / "results"), spec.trial_id))
            for spec in expand(load(folder / "tiny.yaml"))
        }
        for folder in (tmp_path, undisturbed)
    ]
    for steps in (1, 2):
        other, state = (states[steps] for states in trained)
        assert other.step == state.step == 200
        for found, expected in zip((other.params, *other.moments), (state.params, *state.moments), strict=True):
            assert all(torch.equal(found[name], expected[name]) for name in expected)
