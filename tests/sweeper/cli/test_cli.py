"""The commands as a user types them: what they print, and what they say to mistakes."""

import gc
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sweeper.cli import main
from sweeper.results.journal import Journal
from tests.forks import fork
from tests.places import ROOT
from tests.sweeper.command import PROGRAM, environment
from tests.waiting import HANG_S


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


def refused(result: Result, code: int, *words: str) -> None:
    """Assert a clean refusal: its exit code, its words on stderr, nothing on stdout, no trace."""
    assert result.exit_code == code, result.stderr
    for word in words:
        assert word in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_plan_shows_every_trial_with_its_labels_and_state(invoke, write_sweep):
    result = invoke("plan", write_sweep())
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "tiny: Does the machinery work?"
    assert lines[1].split() == ["trial", "inner_steps", "seed", "steps", "state"]
    assert [line.split()[1:] for line in lines[2:6]] == [[steps, seed, "4", "new"] for steps in "12" for seed in "01"]
    assert lines[6] == "4 trials: 4 new"


def test_plan_json_has_the_whole_config_of_every_trial(invoke, write_sweep):
    plan = json.loads(invoke("plan", write_sweep(), "--json").stdout)
    assert plan["counts"] == {"done": 0, "diverged": 0, "running": 0, "interrupted": 0, "failed": 0, "new": 4}
    assert plan["trials"][0]["config"]["meta_batch_size"] == 2
    assert len({trial["trial_id"] for trial in plan["trials"]}) == 4


def test_plan_show_names_the_line_that_each_value_came_from(invoke, write_sweep):
    trial_id = json.loads(invoke("plan", write_sweep(), "--json").stdout)["trials"][0]["trial_id"]
    shown = invoke("plan", write_sweep(), "--show", trial_id[:6]).stdout
    origins = {line.split()[0]: " ".join(line.split()[2:]) for line in shown.splitlines()[1:]}
    assert origins["channels"] == "tiny.yaml:9"
    assert origins["inner_lr"] == "protocol strokes"
    assert origins["head_scale"] == "default"


def test_status_counts_what_is_planned(invoke, write_sweep):
    status = json.loads(invoke("status", write_sweep(), "--json").stdout)
    assert (status["planned"], status["new"], status["orphaned"]) == (4, 4, 0)


def test_dry_run_names_what_would_run_and_runs_nothing(invoke, write_sweep, tmp_path):
    result = invoke("run", write_sweep(), "--dry-run")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 4
    assert not (tmp_path / "results").exists()


def test_a_wrong_sweep_file_is_told_by_line_and_column_for_all_its_faults(invoke, write_sweep):
    path = write_sweep("  channels: many", "  inner_steps: []")
    refused(invoke("run", path), 2, f"{path}:9:", f"{path}:15:")


@pytest.mark.parametrize("command", ["run", "plan", "status", "report", "sync"])
def test_every_command_refuses_a_file_that_is_not_there(invoke, command):
    refused(invoke(command, "absent.yaml"), 2, "absent.yaml")


@pytest.mark.parametrize("command", ["run", "plan", "status", "report", "sync"])
def test_every_command_names_the_profiles_when_one_is_unknown(invoke, write_sweep, command):
    refused(invoke(command, write_sweep(), "--profile", "smok"), 2, "unknown profile 'smok'")


def test_a_missing_archive_is_told_with_where_to_put_it_and_nothing_is_written(invoke, write_sweep, tmp_path):
    path = write_sweep("  use: omniglot")
    refused(invoke("run", path, "--data-root", tmp_path / "data"), 2, "images_background.zip", str(tmp_path / "data"))
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_a_damaged_archive_is_told_by_name_and_nothing_half_converted_is_left(
    invoke, write_sweep, tmp_path, monkeypatch, real_data
):
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "data" / "omniglot"
    root.mkdir(parents=True)
    for name in ("images_background.zip", "images_evaluation.zip"):
        shutil.copy(real_data / "omniglot" / name, root / name)
    with (root / "images_evaluation.zip").open("r+b") as archive:
        archive.truncate(3_000_000)
    refused(invoke("run", write_sweep("  use: omniglot"), "--data-root", tmp_path / "data"), 2, "images_evaluation.zip")
    assert not list((tmp_path / "cache").glob("omniglot*"))


def test_a_results_folder_that_cannot_be_is_exit_4(invoke, write_sweep, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    refused(
        invoke("run", write_sweep(), "--results", tmp_path / "file" / "results"), 4, "can't be written", "--results"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to read-only folders; run as a user to test permissions")
def test_a_read_only_results_folder_is_exit_4(invoke, write_sweep, tmp_path):
    (tmp_path / "results").mkdir(mode=0o500)
    refused(invoke("run", write_sweep()), 4, "can't be written", "Permission denied")


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of 256 kB, or skip where that takes rights this process lacks."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_ends_the_run_with_exit_4_and_room_makes_it_go_on(invoke, write_sweep, small_disk):
    path = write_sweep("  outer_steps: 30")
    filler = small_disk / "filler"
    filler.write_bytes(b"\0" * 170_000)
    arguments = ("run", path, "--results", small_disk / "results", "--executor", "inline", "--tracking-uri", "none")
    refused(invoke(*arguments), 4, str(small_disk / "results"), "No space left on device", "run the same command again")
    filler.unlink()
    small_disk_status = json.loads(invoke("status", path, "--results", small_disk / "results", "--json").stdout)
    assert small_disk_status["done"] < 4
    assert small_disk_status["failed"] == 0


@pytest.mark.parametrize("source", ["option", "environment"])
def test_a_folder_as_tracking_store_is_refused(invoke, write_sweep, monkeypatch, source):
    arguments = ["run", write_sweep()]
    if source == "option":
        arguments += ["--tracking-uri", "file:///tmp/mlruns"]
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    refused(invoke(*arguments), 2, "no longer supports a folder as tracking store")


def test_a_report_without_a_store_says_what_to_run_and_writes_nothing(invoke, write_sweep, tmp_path):
    refused(invoke("report", write_sweep(), "--out", tmp_path / "out"), 2, "mlflow.db", "sweeper run")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "results").exists()


def test_ui_without_a_store_says_what_makes_one(invoke):
    refused(invoke("ui"), 2, "there is no tracking store yet")


def test_cuda_where_there_is_none_is_refused_and_nothing_falls_back(invoke, write_sweep):
    if Path("/dev/nvidiactl").exists():
        pytest.skip("there is an NVIDIA driver here")
    refused(
        invoke("run", write_sweep(), "--device", "cuda"), 2, "--device cuda: no NVIDIA driver here; use --device cpu"
    )


def test_what_a_file_says_is_shown_as_it_is_and_is_no_markup(invoke, write_sweep):
    result = invoke("plan", write_sweep("question: Does [a] or [/b] help?"))
    assert result.stdout.splitlines()[0] == "tiny: Does [a] or [/b] help?"


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_is_no_error(write_sweep):
    command = f"{sys.executable} -c 'from sweeper.cli import main; main()' plan {write_sweep()} | head -1"
    ended = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert ended.stdout == "tiny: Does the machinery work?\n"
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_trial_that_began_on_another_device_is_refused_before_anything_runs(invoke, write_sweep, specs, results):
    facts = {"trial_id": specs[0].trial_id, "point": "p", "cell": "c", "seed": 0, "target": 4, "device": "cuda"}
    facts |= {
        "config": specs[0].config.model_dump(),
        "digest": "d",
        "recipe": {"core": 1},
        "sweep": "tiny",
        "pack": 1,
        "engine": "loop",
    }
    Journal(results.trial(specs[0].trial_id).journal).open_attempt(facts)
    words = (specs[0].trial_id, "began on cuda", "--device cuda")
    refused(invoke("run", write_sweep(), "--results", results.root, "--executor", "inline"), 2, *words)


def test_status_of_a_good_profile_does_not_mind_a_bad_one(invoke, write_sweep):
    path = write_sweep("seeds: 2\nprofiles:\n  bad: {fixed: {shots: 18}}\n  good: {seeds: 1}")
    assert invoke("status", path, "--profile", "good").exit_code == 0
    refused(invoke("status", path, "--profile", "bad"), 2, "shots + queries = 18 + 3 = 21")


def test_damaged_notes_of_a_results_folder_are_named(invoke, write_sweep, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "digests.json").write_text("{")
    refused(invoke("status", write_sweep()), 4, "digests.json", "delete it")


@pytest.mark.slow
def test_a_closed_stderr_keeps_no_trial_from_running(write_sweep, results):
    words = ["run", str(write_sweep("seeds: 1", "  inner_steps: [1]")), "--results", str(results.root)]
    words += ["--executor", "inline", "--tracking-uri", "none"]
    reader, writer = os.pipe()
    os.close(reader)
    process = fork(PROGRAM, words, cwd=results.root.parent, env=environment(), stderr=writer)
    os.close(writer)
    process.communicate(timeout=HANG_S)
    assert process.returncode == 0
    assert len(list(results.root.glob("trials/*/a1/*.ckpt"))) == 1


@pytest.mark.slow
def test_a_plan_loads_nothing_that_trains_or_tracks(tmp_path):
    """Each of them costs more than the rest of the command."""
    program = (
        "import sys; from sweeper.cli import main\n"
        f"main(['plan', 'sweeps/quickstart.yaml', '--results', {str(tmp_path)!r}], standalone_mode=False)\n"
        "sys.exit(' '.join({'torch', 'numpy', 'ray', 'mlflow', 'pandas', 'rich'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "8 trials: 8 new" in done.stdout) == (0, True), done


@pytest.mark.parametrize("searching", [True, False])
def test_garbage_is_searched_as_before_once_a_command_is_imported(searching):
    try:
        if not searching:
            gc.disable()
        assert main.get_command(None, "plan") is not None
        assert gc.isenabled() is searching
    finally:
        gc.enable()
