"""`sweeper run --executor slurm`, and what the other commands say of it, on a Slurm that the test plays."""

import json

import pytest

from tests.slurm.played import Played
from tests.slurm.recorded import REFUSALS
from tests.sweeper.command import start, sweeper
from tests.waiting import HANG_S, wait_until

pytestmark = pytest.mark.slow

HERE = ("--device", "cpu", "--tracking-uri", "none")


@pytest.fixture
def played(tmp_path):
    return Played(tmp_path / "played")


@pytest.fixture
def run(tmp_path, write_sweep, played):
    """Return a function that runs `sweeper` with the played Slurm; the tiny sweep is there."""
    write_sweep()

    def run(*words, **extra):
        return sweeper(*words, cwd=tmp_path, **played.environment, **extra)

    return run


@pytest.fixture
def submit(run):
    def submit(*words, **extra):
        return run("run", "tiny.yaml", "--executor", "slurm", "--detach", *HERE, *words, **extra)

    return submit


def submissions(tmp_path):
    return sorted(path.name for path in (tmp_path / "results/slurm").glob("[0-9]*"))


def test_it_submits_slots_with_the_options_and_the_same_command_submits_nothing_more(submit, played, tmp_path):
    done = submit("--slurm", "partition=gpu,time=4:00:00,cpus=4", "--slurm", "mem=16G", "--workers", "3")
    assert done.code == 0, done.err
    assert "submitted 4 trials to 3 slots: job 100" in done.err
    (words,) = played.calls("sbatch")
    assert {"--array=0-2", "--partition=gpu", "--time=4:00:00", "--cpus-per-task=4", "--mem=16G", "--requeue"} <= {
        *words
    }
    again = submit("--workers", "3")
    assert again.code == 0
    assert "0 to run" in again.err
    assert "nothing to submit: everything that is left is queued or running in Slurm" in again.err
    assert len(played.calls("sbatch")) == 1
    assert submissions(tmp_path) == ["000001"]


def test_growth_submits_the_rest_and_never_more_slots_than_workers(submit, write_sweep, played):
    assert "4 trials to 3 slots" in submit("--workers", "3").err
    write_sweep("seeds: 3")
    played.change("100_0", state="RUNNING", node="a")
    told = submit("--workers", "4").err
    assert "submitted 2 trials to 1 slot: job 101;" in told
    write_sweep("seeds: 4")
    told = submit("--workers", "4").err
    assert "submitted 2 trials to 2 slots: job 102, after the jobs 100, 101 have ended" in told
    assert "--dependency=afterany:100:101" in played.calls("sbatch")[-1]


def test_a_longer_target_is_not_covered_by_a_shorter_one(submit, write_sweep):
    submit()
    write_sweep("  outer_steps: 6")
    assert "submitted 4 trials" in submit("--workers", "64").err


def test_arrays_are_split_where_the_cluster_takes_no_longer_ones(submit, played):
    played.set(most_elements=2)
    assert "submitted 4 trials to 4 slots: jobs 100, 101;" in submit().err
    assert [words[2] for words in played.calls("sbatch")] == ["--array=0-1", "--array=0-1"]
    assert len({job["name"] for job in played.jobs}) == 2


def test_plan_and_status_show_what_is_queued_and_where_it_runs(submit, run, played):
    submit("--workers", "2")
    plan = run("plan", "tiny.yaml").out
    assert plan.count("queued (job 100_0, since 2026-11-27T21:00:00, reason Priority)") == 4
    status = json.loads(run("status", "tiny.yaml", "--json").out)
    assert (status["new"], status["slurm"]) == (4, {"queued": 4, "running": 0})
    assert "in Slurm         4 queued, 0 running" in run("status", "tiny.yaml").out
    played.set(down=True)
    dark = run("status", "tiny.yaml")
    assert dark.code == 0
    assert "what Slurm has is not shown: squeue does not answer: slurm_load_jobs error" in dark.err
    assert "new              4" in dark.out


@pytest.mark.parametrize("how", ["purge", "CANCELLED", "FAILED", "TIMEOUT"])
def test_jobs_that_are_gone_are_found_out_and_submitted_again(submit, run, played, how, tmp_path):
    submit()
    if how == "purge":
        played.purge()
    else:
        played.change("100", state=how)
    assert "queued" not in run("plan", "tiny.yaml").out
    assert "submitted 4 trials to 4 slots: job 101" in submit().err
    assert submissions(tmp_path) == ["000001", "000002"]
    assert (tmp_path / "results/slurm/000001/over").exists()


@pytest.mark.parametrize(("printed", "part"), REFUSALS.items())
def test_what_sbatch_refuses_is_told_with_its_own_line_and_leaves_nothing(submit, played, tmp_path, printed, part):
    played.set(refuse=printed)
    done = submit("--slurm", "partition=nowhere")
    assert done.code == 2
    assert "sbatch has refused the job: sbatch: " in done.err
    assert part in done.err
    assert "--help" not in done.err
    assert submissions(tmp_path) == []


def test_a_command_that_dies_before_sbatch_answers_has_its_job_found_by_its_name(submit, played, tmp_path):
    played.set(lost=True)
    assert submit().code == -9
    played.set(lost=False)
    again = submit()
    assert again.code == 0, again.err
    assert "job 100 of submission 1 is found again by its name sweeper-" in again.err
    assert "nothing to submit" in again.err
    assert len(played.calls("sbatch")) == 1


def test_a_command_that_dies_before_sbatch_leaves_nothing_that_is_waited_for_long(
    submit, played, tmp_path, monkeypatch
):
    import os

    submit()
    played.purge()
    (tmp_path / "results/slurm/000001/jobs.jsonl").unlink()
    path = tmp_path / "results/slurm/000001/submission.json"
    os.utime(path, (path.stat().st_mtime - 61,) * 2)
    assert "submitted 4 trials" in submit().err


def test_two_commands_at_once_submit_once(tmp_path, write_sweep, played):
    write_sweep("seeds: 8")
    words = ["run", "tiny.yaml", "--executor", "slurm", "--detach", *HERE]
    processes = [start(words, tmp_path, **played.environment) for _ in range(2)]
    for process in processes:
        _, err = process.communicate(timeout=HANG_S)
        assert process.returncode == 0, err
    assert len(played.calls("sbatch")) == 1
    assert submissions(tmp_path) == ["000001"]


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["--slurm", "gpu"], "--slurm gpu: 'gpu' has no value", 2),
        (["--slurm", "array=0-3"], "array can't be given", 2),
        (["--address", "auto"], "--executor slurm trains in jobs of Slurm, not at --address auto", 2),
        (["--device", "cuda"], "--device cuda: the jobs have no GPU; ask for one, as in --slurm gpus=1", 2),
    ],
)
def test_wrong_options_are_told(submit, played, words, said, code):
    done = submit(*words)
    assert (done.code, said in done.err) == (code, True), done.err
    assert not played.calls("sbatch")


@pytest.mark.parametrize("words", [["--slurm", "mem=1G"], ["--detach"]])
def test_options_of_slurm_need_its_executor(run, words):
    done = run("run", "tiny.yaml", *words, *HERE)
    assert done.code == 2
    assert f"{words[0]} is for jobs of Slurm; add --executor slurm" in done.err


def test_without_slurm_that_is_said(tmp_path, write_sweep):
    write_sweep()
    done = sweeper("run", "tiny.yaml", "--executor", "slurm", *HERE, cwd=tmp_path, PATH=str(tmp_path))
    assert done.code == 4
    assert "there is no scontrol here; run the command on a login node" in done.err
    assert not (tmp_path / "results/slurm").exists() or submissions(tmp_path) == []


def test_a_dry_run_submits_nothing(submit, played):
    assert submit("--dry-run").out.count("\n") == 4
    assert not played.calls("sbatch")


def test_options_of_a_profile(run, write_sweep, played, tmp_path):
    path = write_sweep()
    profile = "profiles: {lab: {slurm: {partition: gpu, gpus: 0, setup: [module load cuda], exclusive: true}}}\n"
    path.write_text(path.read_text() + profile)
    words = ("run", "tiny.yaml", "--profile", "lab", "--executor", "slurm", "--detach", *HERE)
    assert run(*words, "--slurm", "partition=long").code == 0
    (given,) = played.calls("sbatch")
    assert {"--partition=long", "--gpus=0", "--exclusive"} <= {*given}
    assert "--partition=gpu" not in given
    assert "\nmodule load cuda\n" in (tmp_path / "results/slurm/000001/slot.sh").read_text()


def test_a_wrong_option_of_a_profile_is_told_at_its_place(run, write_sweep, played):
    path = write_sweep()
    path.write_text(path.read_text() + "profiles:\n  lab:\n    slurm:\n      mem: 1G\n      array: 0-3\n")
    done = run("run", "tiny.yaml", "--profile", "lab", "--executor", "slurm", "--detach", *HERE)
    assert done.code == 2
    assert "tiny.yaml:25:14: slurm: array can't be given" in done.err, done.err


def test_stop_cancels_what_waits_and_the_next_run_submits_it(submit, run, played):
    submit()
    done = run("stop")
    assert done.code == 0, done.err
    assert "4 jobs have left Slurm" in done.err
    assert {job["state"] for job in played.jobs} == {"CANCELLED"}
    assert "submitted 4 trials" in submit().err


def test_stop_says_what_has_not_ended(submit, run, played):
    submit()
    played.change("100_0", state="RUNNING", node="a")
    done = run("stop", "--wait", "1")
    assert done.code == 4
    assert "1 of 4 jobs have not saved and ended in 1 s, so Slurm ends them now (100_0)" in done.err
    assert ["--signal=TERM", "--batch", "100_0"] in played.calls("scancel")


def test_watching_ends_when_slurm_has_no_more_of_it(tmp_path, write_sweep, played):
    write_sweep()
    program = "import sweeper.cli.terminal.slurm as s; s.LOOK_EVERY_S = 0.2; from sweeper.cli import main; main()"
    words = ["run", "tiny.yaml", "--executor", "slurm", *HERE]
    process = start(words, tmp_path, program=program, **played.environment)
    wait_until(lambda: played.jobs, "the submission")
    played.change("100", state="FAILED", node="a")
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 3
    assert "job 100_0 on a has ended as FAILED; its log: " in err
    assert "next: run the same command to train what is left" in err


def test_a_slot_that_is_not_queued_again_is_told_and_run_submits_what_it_left(submit, run, played, tmp_path):
    submit("--workers", "1")
    played.change("100", state="COMPLETED")
    told = tmp_path / "results/slurm/000001/given_up/sweeper-x.0-0.txt"
    told.parent.mkdir()
    told.write_text("has had 5 lives in a row without one new step\n")
    sentence = "slot sweeper-x.0-0 has had 5 lives in a row without one new step"
    assert sentence in run("status", "tiny.yaml").err and sentence in run("plan", "tiny.yaml").err
    again = submit("--workers", "1")
    assert sentence in again.err and "submitted 4 trials to 1 slot: job 101" in again.err
    assert sentence not in run("status", "tiny.yaml").err
