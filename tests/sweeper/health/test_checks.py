"""The doctor finds what is wrong by trying it, says what to do, and leaves nothing behind."""

import dataclasses
import fcntl
import json
import os
import resource
import subprocess
import sys
import time
from collections import namedtuple
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from sweeper.cli import main
from sweeper.health import checks as doctor
from sweeper.health import requirements as installed
from tests.sweeper.command import environment, sweeper
from trainers.data import converted, datasets

PASSWORD = "hunter2-is-secret"


@pytest.mark.slow
def test_a_good_machine_is_ok_within_ten_seconds_and_nothing_is_left(tmp_path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = ("doctor", "--results", tmp_path / "results", "--data-root", tmp_path, "--json")
    ended = sweeper(*words, cwd=tmp_path, fresh=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 10
    assert ended.code == 0, ended.out
    checks = {check["name"]: check for check in json.loads(ended.out)}
    assert list(checks) == [
        "platform", "python", "packages", "cpu", "cuda", "disk", "results", "locks", "clock", "tmp", "journals",
        "tracking", "data omniglot", "data strokes", "data mini_imagenet",
    ]  # fmt: skip
    assert checks["data omniglot"]["verdict"] == "warn"
    assert "sweeper data get omniglot" in checks["data omniglot"]["advice"]
    assert all(check["advice"] for check in checks.values() if check["verdict"] != "ok")
    assert list(tmp_path.iterdir()) == []


def test_each_line_that_is_not_good_is_followed_by_what_to_do_and_bad_ends_with_1(tmp_path):
    ask = ["doctor", "--results", str(tmp_path), "--data-root", str(tmp_path), "--tracking-uri"]
    result = CliRunner().invoke(main, [*ask, f"http://me:{PASSWORD}@127.0.0.1:9"])
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    (place,) = [index for index, line in enumerate(lines) if line.startswith("bad")]
    assert lines[place].startswith("bad   tracking            http://me:***@127.0.0.1:9 doesn't answer")
    assert lines[place + 1].strip().startswith("-> trials run without it")
    assert PASSWORD not in result.output


@pytest.mark.slow
def test_it_loads_no_torch_ray_or_mlflow_where_there_is_no_driver(tmp_path):
    if Path("/dev/nvidiactl").exists():
        pytest.skip("a driver is here, so torch is rightly loaded")
    program = (
        "import sys\nfrom sweeper.cli import main\n"
        "main(['doctor'], standalone_mode=False)\n"
        "print('loaded:', *sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'ray', 'mlflow', 'pandas'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment()
    )
    assert done.stdout.endswith("loaded:\n")


@pytest.mark.parametrize(
    ("have", "asked", "met"),
    [
        ("3.11.7", ">=3.11", True),
        ("3.10.14", ">=3.11", False),
        ("2.15.0+cu126", ">=2.11", True),
        ("3.18.0", "<3.18,>=3.13", False),
        ("3.17.2", "<3.18,>=3.13", True),
        ("2.9", ">=2.11", False),
        ("2.15", "==2.15.0", True),
        ("3.0rc1", "!=3.0, >2", True),
        ("1.0", "", True),
    ],
)
def test_versions_compare_by_number(have, asked, met):
    assert installed.holds(have, asked) is met


def without(*names):
    def look(name):
        if name in names:
            raise PackageNotFoundError(name)
        return version(name)

    return look


def test_without_mlflow_there_is_a_warning_and_without_torch_it_is_bad(monkeypatch):
    monkeypatch.setattr(installed, "version", without("mlflow"))
    check = doctor.packages()
    assert (check.verdict, check.found) == ("warn", "mlflow is missing")
    assert "--tracking-uri none" in check.advice
    monkeypatch.setattr(installed, "version", without("mlflow", "torch"))
    check = doctor.packages()
    assert (check.verdict, check.found) == ("bad", "mlflow is missing; torch is missing")


def test_a_version_out_of_bounds_is_bad_and_named(monkeypatch):
    asked = ["torch>=999", "ray[tune]>=2.50", 'pytest>=999; extra == "dev"']
    monkeypatch.setattr(installed, "requires", lambda package: asked)
    check = doctor.packages()
    assert check.verdict == "bad"
    assert check.found == f"torch {version('torch')} is installed, but >=999 is required"


def test_a_driver_that_torch_cannot_use_is_a_warning(tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("a usable GPU is here")
    (tmp_path / "nvidiactl").touch()
    assert doctor.cuda([tmp_path / "none", tmp_path / "nvidiactl"]).verdict == "warn"
    assert doctor.cuda([tmp_path / "none"]) == ("cuda", "ok", "no NVIDIA driver; runs use the CPU", "")


def test_a_gpu_computes():
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    assert doctor.cuda().found.endswith("each computes correctly")


def test_a_nearly_full_disk_is_a_warning(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda place: usage(2**40, 2**40 - 2**29, 2**29))
    check = doctor.disk(tmp_path)
    assert (check.verdict, check.found) == ("warn", f"0.5 GiB free in {tmp_path}")


def test_a_folder_that_cannot_be_written_is_bad(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    assert doctor.writable(tmp_path / "file").verdict == "bad"
    assert doctor.locks(tmp_path / "file").verdict == "bad"
    assert doctor.clock(tmp_path / "file").verdict == "warn"

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    check = doctor.writable(tmp_path)
    assert (check.verdict, check.found) == ("bad", f"{tmp_path} can't be written: No space left on device")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_results_folder_that_is_not_there_is_tried_where_it_would_be_made(tmp_path):
    assert doctor.nearest(tmp_path / "a" / "b") == tmp_path
    assert doctor.nearest(tmp_path) == tmp_path


def test_locks_that_keep_nobody_out_or_do_not_exist_are_bad(tmp_path, monkeypatch):
    assert doctor.locks(tmp_path).verdict == "ok"
    monkeypatch.setattr(fcntl, "flock", lambda file, operation: None)
    check = doctor.locks(tmp_path)
    assert (check.verdict, check.found) == ("bad", f"a file in {tmp_path} can be locked twice")

    def none(file, operation) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", none)
    check = doctor.locks(tmp_path)
    assert (check.verdict, check.found.endswith("Operation not supported")) == ("bad", True)
    assert "local disk" in check.advice


@pytest.mark.parametrize(("ahead", "verdict"), [(0, "ok"), (1, "ok"), (-90, "warn"), (90, "warn")])
def test_a_clock_apart_from_the_disks_is_a_warning(tmp_path, monkeypatch, ahead, verdict):
    """However long the check is kept waiting: the disk's clock stands still, and so does this machine's."""
    now, write = time.time(), Path.write_bytes

    def written(path, content):
        write(path, content)
        os.utime(path, (now, now))

    monkeypatch.setattr(Path, "write_bytes", written)
    monkeypatch.setattr(time, "time", lambda: now + ahead)
    check = doctor.clock(tmp_path)
    assert check.verdict == verdict
    assert verdict == "ok" or f"is {abs(ahead)} s off" in check.found


def test_a_clock_of_1970_is_bad(tmp_path, monkeypatch):
    begun = time.gmtime(0)
    monkeypatch.setattr(time, "gmtime", lambda: begun)
    assert doctor.clock(tmp_path) == (
        "clock", "bad", "it says the year 1970", "set the clock; every record stores its time",
    )  # fmt: skip


def test_a_long_tmpdir_is_bad_before_ray_says_so(tmp_path, monkeypatch):
    fits = 107 - len(doctor.SESSION)
    for length, verdict in [(fits, "ok"), (fits + 1, "bad")]:
        folder = Path("/" + "x" * (length - 1))
        monkeypatch.setenv("RAY_TMPDIR", str(folder))
        check = doctor.sockets()
        assert ("too long" in check.found) == (verdict == "bad")
    assert check.found == f"{folder} is 1 bytes too long for Ray's sockets"
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "none"))
    assert "can't be written" in doctor.sockets().found or "too long" in doctor.sockets().found


@pytest.mark.slow
@pytest.mark.usefixtures("drawn_before")
def test_a_converted_array_that_has_changed_is_bad(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    assert doctor.data("strokes", tmp_path).found.startswith("generated at its first use")
    array = datasets.prepare("strokes", tmp_path)
    good = doctor.data("strokes", tmp_path)
    assert (good.verdict, good.found) == ("ok", f"converted, digest {array.digest[:16]} verified")
    with array.path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([255 - last]))
    damaged = doctor.data("strokes", tmp_path)
    assert damaged.verdict == "bad"
    assert str(array.path) in damaged.advice


@pytest.mark.usefixtures("drawn_before")
def test_a_converted_array_that_is_no_array_is_bad(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    array = datasets.prepare("strokes", tmp_path)
    with array.path.open("r+b") as file:
        file.write(b"\0" * 64)
    check = doctor.data("strokes", tmp_path)
    assert (check.verdict, check.found.startswith("its converted array can't be read")) == ("bad", True)
    assert str(array.path) in check.advice


def test_a_large_array_is_compared_to_its_last_byte_too(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "archive"
    source.touch()
    rows = (np.zeros((1, 1, 1, 2**20), np.uint8) for _ in range(65))
    array = converted.convert("mini_imagenet", (source,), rows, (65, 1, 1, 1, 2**20), None)
    entry = dataclasses.replace(
        datasets.describe("mini_imagenet", tmp_path), sources=(source,), trouble="", converted=array.path
    )
    monkeypatch.setattr(datasets, "describe", lambda name, root: entry)
    assert doctor.data("mini_imagenet", tmp_path).found == f"converted, digest {array.digest[:16]} verified"
    with array.path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\1")
    assert doctor.data("mini_imagenet", tmp_path).found == "its converted array has changed since it was made"
