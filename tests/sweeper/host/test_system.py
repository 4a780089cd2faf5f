"""Which system this is, and that the package runs where Linux's own calls and files are absent."""

import json
import os
import platform
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sweeper.cli import main
from sweeper.health import checks as doctor
from sweeper.host import devices
from sweeper.host.system import WITHOUT_LOCKS, system, usable_cpus
from tests.forks import Forked, fork
from tests.sweeper.command import environment
from tests.sweeper.tiny import TINY
from tests.waiting import HANG_S
from trainers.__main__ import main as trainers_main

LOADING = """
import pkgutil, sys
from tests.sweeper.host.as_macos import OURS, become_macos
for name in [name for name in sys.modules if f"{name}.".startswith(OURS)]:
    del sys.modules[name]
become_macos()
import analysis, sweeper, trainers
"""
EVERY_MODULE = """
for package in (trainers, sweeper, analysis):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            __import__(module.name)
print("loaded", len([name for name in sys.modules if name.startswith(("trainers.", "sweeper.", "analysis."))]))
"""
COMMANDS = """
from sweeper.cli import main
for words in sys.argv[1:]:
    try:
        main(words.split())
    except SystemExit as ended:
        if ended.code:
            raise
"""
"""`sweeper WORDS` for each argument, until one fails."""


def on_macos(program: str, *words: str, cwd: Path) -> Forked:
    """Fork a process that lacks what macOS lacks and loads all of ours anew.

    It has the libraries already: some ask for the system as they load.
    """
    return fork(LOADING + program, words, cwd=cwd, env=environment())


@pytest.mark.parametrize(
    ("name", "release", "expected"),
    [
        ("Linux", "6.8.0-45-generic", "Linux"),
        ("Linux", "5.15.153.1-microsoft-standard-WSL2", "WSL"),
        ("Linux", "4.4.0-19041-Microsoft", "WSL"),
        ("Darwin", "24.6.0", "macOS"),
        ("FreeBSD", "14.1-RELEASE", "another system"),
        ("Windows", "11", "another system"),
    ],
)
def test_the_system_is_told_by_its_name_and_wsl_by_its_kernel(monkeypatch, name, release, expected):
    monkeypatch.setattr(platform, "system", lambda: name)
    monkeypatch.setattr(platform, "release", lambda: release)
    assert system() == expected


@pytest.mark.parametrize(
    ("name", "release", "place", "verdict", "words"),
    [
        ("Linux", "6.8", "/mnt/c/lab", "ok", "Linux, "),
        ("Linux", "6.8-microsoft", "/home/ada", "ok", "Linux in WSL, "),
        ("Linux", "6.8-microsoft", "/mnt/c/lab", "warn", "/mnt/c/lab may be a disk of Windows"),
        ("Darwin", "24.6", "/Users/ada", "warn", "sweeper is tested on Linux only"),
        ("FreeBSD", "14.1", "/home/ada", "warn", "FreeBSD, "),
    ],
)
def test_doctor_says_in_one_line_where_it_runs_and_what_to_do(monkeypatch, name, release, place, verdict, words):
    monkeypatch.setattr(platform, "system", lambda: name)
    monkeypatch.setattr(platform, "release", lambda: release)
    check = doctor.platform_of(Path(place))
    assert (check.name, check.verdict) == ("platform", verdict)
    assert words in check.found
    assert bool(check.advice) == (verdict != "ok")


def test_a_process_may_use_the_cores_it_was_given_and_all_where_none_can_be_withheld(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert usable_cpus() == 1
    assert doctor.cpu().found == "1 of 7 cores usable"
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cpus() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cpus() == 1


def test_the_driver_of_windows_is_a_driver(tmp_path):
    """WSL 2 has /dev/dxg and no /dev/nvidiactl."""
    assert [str(device) for device in devices.DRIVERS] == ["/dev/nvidiactl", "/dev/dxg"]
    places = [tmp_path / "nvidiactl", tmp_path / "dxg"]
    assert not devices.has_driver(places)
    (tmp_path / "dxg").touch()
    assert devices.has_driver(places)


def test_on_macos_rays_sockets_are_below_tmp_and_shorter(monkeypatch):
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", "/var/folders/" + "x" * 90)
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert doctor.sockets().found == "/tmp is short enough for Ray's sockets"
    monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * (103 - len(doctor.SESSION)))
    assert "is 1 bytes too long" in doctor.sockets().found


@pytest.mark.parametrize("words", [["doctor"], ["run", "tiny.yaml"], ["plan", "tiny.yaml"]])
def test_a_system_without_file_locks_is_one_sentence_that_names_wsl(monkeypatch, words):
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows: importing it fails
    ended = CliRunner().invoke(main, words)
    assert ended.exit_code == 2
    assert ended.stderr.splitlines()[-1] == f"Error: {WITHOUT_LOCKS}"
    assert "Traceback" not in ended.output


def test_the_trainer_alone_says_it_too(monkeypatch, tmp_path, capsys):
    (tmp_path / "tiny.yaml").write_text("dataset: strokes\n")
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert trainers_main([str(tmp_path / "tiny.yaml")]) == 2
    assert "WSL 2" in capsys.readouterr().err


@pytest.mark.slow
def test_every_module_loads_where_linuxs_own_names_and_files_are_absent(tmp_path):
    loading = on_macos(EVERY_MODULE, cwd=tmp_path)
    out, err = loading.communicate(timeout=HANG_S)
    assert loading.returncode == 0, err
    assert int(out.split()[-1]) > 150


@pytest.mark.slow
def test_a_sweep_trains_is_checked_and_is_shown_where_linuxs_own_names_and_files_are_absent(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    checking = on_macos(COMMANDS, "doctor --json", cwd=tmp_path)
    out, err = checking.communicate(timeout=HANG_S)
    assert checking.returncode == 0, err
    checks = {check["name"]: check for check in json.loads(out)}
    assert checks["platform"]["found"] == "macOS 15.6, arm64; sweeper is tested on Linux only"
    assert checks["cpu"]["found"] == f"{os.cpu_count()} of {os.cpu_count()} cores usable"
    words = ("plan tiny.yaml", "run tiny.yaml --executor inline", "status tiny.yaml")
    training = on_macos(COMMANDS, *words, cwd=tmp_path)
    out, err = training.communicate(timeout=HANG_S)
    assert training.returncode == 0, err
    assert re.search(r"^done +4$", out, re.MULTILINE)
