"""`sweeper run` as a user has it: real processes, real Ray, a real MLflow store, tiny real training."""

import json
import os
import signal
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

from sweeper.planning.expand import expand
from sweeper.results.fold import fold
from sweeper.results.journal_lines import read_lines
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load
from tests.sweeper.command import PATIENT, PROGRAM, Ended, start, sweeper
from tests.sweeper.tiny import TINY, write_tiny
from tests.waiting import HANG_S, wait_until
from trainers.data.catalog import CATALOG

pytestmark = pytest.mark.slow


def measured(results: Results) -> dict[str, list[tuple]]:
    """Return every record of every trial, without attempts and times: what must not depend on how a run went."""
    return {
        path.parent.name: sorted(
            (line["step"], line["key"], json.dumps(line["value"]))
            for line in read_lines(path)
            if line["kind"] == "record"
        )
        for path in (results.root / "trials").glob("*/journal.jsonl")
    }


def final_bytes(results: Results, trial_id: str) -> bytes:
    return results.trial(trial_id).checkpoints(10**6)[0].read_bytes()


PEEKING = f"""
import os, pathlib, sweeper.executors.ray.tune

class Peeking(sweeper.executors.ray.tune._Trainable):
    def setup(self, config):
        super().setup(config)
        pathlib.Path(os.environ["SEEN"], str(os.getpid())).write_text(os.environ["CUDA_VISIBLE_DEVICES"])

sweeper.executors.ray.tune._Trainable = Peeking
{PATIENT}
"""
"""`sweeper` whose workers write down which GPUs they see."""


class RayRun(NamedTuple):
    """A run: its folder and end, the GPUs that its workers saw, what its raylet said, and the names of Ray's logs."""

    folder: Path
    ended: Ended
    seen: set[str]
    raylet: str
    logs: set[str]


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory) -> RayRun:
    """Run the tiny sweep once on real Ray with two workers and the default store, where the driver sees two GPUs."""
    folder, seen = tmp_path_factory.mktemp("ray run with a space"), tmp_path_factory.mktemp("seen")
    (folder / "tiny.yaml").write_text(TINY)
    with tempfile.TemporaryDirectory(prefix="ray-") as short:  # a socket's path may have 107 bytes
        extra = {"RAY_TMPDIR": short, "CUDA_VISIBLE_DEVICES": "4,7", "SEEN": str(seen)}
        words = ("run", "tiny.yaml", "--workers", "2", "--device", "cpu", "--pack", "1")
        ended = sweeper(*words, cwd=folder, program=PEEKING, **extra)
        (session,) = (Path(short) / "ray").glob("session_2*")
        told = (session / "logs/raylet.out").read_text(encoding="utf-8")
        logs = {path.name for path in session.glob("logs/*")}
    return RayRun(folder, ended, {path.read_text() for path in seen.iterdir()}, told, logs)


@pytest.fixture(scope="module")
def ray_run(whole_run) -> tuple[Path, Ended]:
    return whole_run.folder, whole_run.ended


def test_the_workers_started_with_ray_are_those_that_train_and_nothing_else_is_started(whole_run):
    assert whole_run.raylet.count("Started worker process") == 2
    assert "Create runtime env" not in whole_run.raylet
    assert not {name for name in whole_run.logs if name.startswith("monitor.") or name == "dashboard.log"}
    logs = list((whole_run.folder / "results").glob("trials/*/a1/trial.log"))
    assert len(logs) == 4


def test_a_cpu_trial_sees_no_gpu_though_the_driver_does(whole_run):
    assert whole_run.seen == {""}


def test_every_trial_runs_once_on_ray_and_the_exit_is_clean(ray_run):
    folder, ended = ray_run
    assert ended.code == 0, ended.err
    assert ended.out == ""
    assert "4 planned: 4 done" in ended.err
    assert "Traceback" not in ended.err
    results = Results.at(folder / "results")
    specs = expand(load(folder / "tiny.yaml"))
    for spec in specs:
        record = fold(results.trial(spec.trial_id).journal)
        assert (record["status"], record["done_step"], len(record["attempts"])) == ("done", 4, 1)
        assert [found["step"] for found in record["evaluations"]] == [2, 4]
        assert record["scores"]["step"] == 4


def test_what_ray_and_mlflow_say_stays_in_the_log(ray_run):
    folder, _ = ray_run
    assert not (folder / "mlruns").exists()
    assert {entry.name for entry in folder.iterdir()} == {"tiny.yaml", "results"}
    assert "ERROR" not in (folder / "results" / "ray.log").read_text()


def test_mlflow_shows_one_run_a_trial_with_its_numbers_and_a_summary_a_cell(ray_run):
    from mlflow import MlflowClient

    folder, _ = ray_run
    client = MlflowClient(f"sqlite:///{folder}/results/mlflow.db")
    (experiment,) = [found for found in client.search_experiments() if found.name == "tiny"]
    runs = client.search_runs([experiment.experiment_id])
    trials = {run.data.tags["trial_id"]: run for run in runs if run.data.tags["sweeper.kind"] == "trial"}
    cells = [run for run in runs if run.data.tags["sweeper.kind"] == "cell"]
    specs = expand(load(folder / "tiny.yaml"))
    assert trials.keys() == {spec.trial_id for spec in specs}
    assert len(cells) == 2
    results = Results.at(folder / "results")
    for spec in specs:
        run = trials[spec.trial_id]
        record = fold(results.trial(spec.trial_id).journal)
        accuracy = record["evaluations"][-1]["accuracy"]["zeroed"][spec.config.inner_steps]
        assert run.info.status == "FINISHED"
        assert run.data.metrics["test_accuracy/zeroed/inner_steps"] == accuracy
        assert run.data.tags["data_digest"] == spec.digest
        history = client.get_metric_history(run.info.run_id, "test_accuracy/zeroed/inner_steps")
        assert [point.step for point in history] == [2, 4]


def test_run_again_does_nothing_because_all_is_done(ray_run):
    folder, _ = ray_run
    before = {path: path.read_bytes() for path in (folder / "results" / "trials").rglob("*") if path.is_file()}
    ended = sweeper("run", "tiny.yaml", cwd=folder)
    assert (ended.code, ended.out) == (0, "")
    assert "4 done; 0 to run" in ended.err
    assert {path: path.read_bytes() for path in (folder / "results" / "trials").rglob("*") if path.is_file()} == before


def test_status_and_plan_count_what_is_there(ray_run):
    folder, _ = ray_run
    status = json.loads(sweeper("status", "tiny.yaml", "--json", cwd=folder).out)
    states = ("done", "diverged", "running", "interrupted", "failed", "new")
    assert status["planned"] == sum(status[state] for state in states) == status["done"] == 4
    assert status["orphaned"] == 0
    plan = json.loads(sweeper("plan", "tiny.yaml", "--json", cwd=folder).out)
    assert [trial["state"] for trial in plan["trials"]] == ["done"] * 4


def test_report_writes_the_table_three_ways_and_the_figure_two(ray_run):
    folder, _ = ray_run
    ended = sweeper("report", "tiny.yaml", "--out", "paper", cwd=folder)
    assert ended.code == 0, ended.err
    names = {path.name for path in (folder / "paper").iterdir()}
    assert {"table_1.csv", "table_1.md", "table_1.tex", "figure_1.png", "figure_1.pdf", "report.md"} <= names
    assert "\\toprule" in (folder / "paper" / "table_1.tex").read_text()


def test_the_inline_executor_and_one_or_two_workers_give_the_same_bits(ray_run, tmp_path):
    folder, _ = ray_run
    words = ("--executor", "inline", "--device", "cpu", "--tracking-uri", "none", "--results", "here")
    ended = sweeper("run", folder / "tiny.yaml", *words, cwd=tmp_path)
    assert ended.code == 0, ended.err
    inline, ray = Results.at(tmp_path / "here"), Results.at(folder / "results")
    assert measured(inline) == measured(ray)
    for spec in expand(load(folder / "tiny.yaml")):
        assert final_bytes(inline, spec.trial_id) == final_bytes(ray, spec.trial_id)
    assert not (tmp_path / "here" / "mlflow.db").exists()


def inline(*arguments, cwd):
    return sweeper("run", *arguments, "--executor", "inline", "--tracking-uri", "none", cwd=cwd)


def test_a_new_seed_runs_only_new_trials_and_a_longer_target_goes_on(write_sweep, tmp_path):
    assert inline(write_sweep(), cwd=tmp_path).code == 0
    results = Results.at(tmp_path / "results")
    assert inline(write_sweep("seeds: 3"), cwd=tmp_path).err.count(" running to 4:") == 2
    grown = inline(write_sweep("seeds: 3", "  outer_steps: 6"), cwd=tmp_path)
    assert grown.err.count(" running from step 4 to 6:") == 6
    undisturbed = tmp_path / "at once"
    undisturbed.mkdir()
    assert inline(write_sweep("seeds: 3", "  outer_steps: 6"), cwd=undisturbed).code == 0
    for trial_id, records in measured(Results.at(undisturbed / "results")).items():
        kept = [record for record in measured(results)[trial_id] if record[:2] != (4, "scores")]
        assert kept == records


STOPPED = ("  outer_steps: 250", "seeds: 1", "  eval_every: 100", "  inner_steps: [1]")
CHATTY = f"""
import functools, time, sweeper.running.session as session, sweeper.worker.work as work
session.Worker = functools.partial(session.Worker, chunk_s=0.1)
step = work.Work.step
work.Work.step = lambda self: (time.sleep(0.5), step(self))[1]
{PROGRAM}
"""
"""`sweeper` with chunks of a tenth of a second and a pause before each, so that a record comes long before the end."""


@pytest.fixture(scope="module")
def not_stopped(tmp_path_factory) -> Results:
    """Train what the next test stops or kills, without any of that."""
    folder = tmp_path_factory.mktemp("not stopped")
    path = write_tiny(folder, *STOPPED)
    assert inline(path, cwd=folder).code == 0
    return Results.at(folder / "results")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_run_that_is_stopped_or_killed_ends_with_the_bits_of_one_that_is_not(not_stopped, tmp_path, number, code):
    """A kill leaves no checkpoint so early, a signal does; either way the rerun completes the plan, each trial once."""
    path = write_tiny(tmp_path, *STOPPED)
    process = start(["run", path, "--executor", "inline", "--tracking-uri", "none"], tmp_path, program=CHATTY)
    results = Results.at(tmp_path / "results")
    wait_until(lambda: any(measured(results).values()), "a record")
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == code
    assert "Traceback" not in err
    status = json.loads(sweeper("status", path, "--json", cwd=tmp_path).out)
    assert status["interrupted"] == 1
    assert inline(path, cwd=tmp_path).code == 0
    assert measured(results) == measured(not_stopped)
    for trial_id in measured(results):
        assert final_bytes(results, trial_id) == final_bytes(not_stopped, trial_id)


def test_a_diverged_trial_is_an_outcome_with_exit_3_and_is_not_run_again(write_sweep, tmp_path):
    path = write_sweep("  order: first\n  inner_lr: 1.0e+200")
    ended = inline(path, cwd=tmp_path)
    assert ended.code == 3
    assert ended.err.count("diverged at step 1: query loss nan") >= 4
    again = inline(path, cwd=tmp_path)
    assert again.code == 3
    assert "4 diverged; 0 to run" in again.err


def test_an_unreachable_tracking_server_does_not_stop_training(write_sweep, tmp_path):
    path = write_sweep("seeds: 1")
    options = ("--executor", "inline", "--tracking-uri", "http://127.0.0.1:9")
    ended = sweeper("run", path, *options, cwd=tmp_path, program=PATIENT)
    assert ended.code == 0, ended.err
    assert "2 planned: 2 done" in ended.err
    assert "trials are not yet in http://127.0.0.1:9" in ended.err
    assert "Traceback" not in ended.err
    late = sweeper("sync", path, cwd=tmp_path)
    assert late.code == 0, late.err
    assert "2 trials in tiny of sqlite:///" in late.err
    assert sweeper("report", path, cwd=tmp_path).code == 0


def test_real_omniglot_trains_from_its_archives(write_sweep, tmp_path, real_data, monkeypatch):
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    path = write_sweep("  use: omniglot", "seeds: 1", "  inner_steps: [1]")
    ended = inline(path, "--data-root", real_data, cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert "omniglot: converting, once" in ended.err
    (spec,) = expand(load(path))
    record = fold(Results.at(tmp_path / "results").trial(spec.trial_id).journal)
    assert (record["status"], record["attempts"][0]["digest"]) == ("done", CATALOG["omniglot"].digest)
    assert "converting" not in inline(path, "--data-root", real_data, cwd=tmp_path).err
