"""What `make demo` does before it downloads anything, and what it installs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.places import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with the Makefile and no environment."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def python(path: Path, version: str) -> Path:
    """Write a program that says that it is Python `version`, and writes down what it is asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "$*" >> "$0.asked"\necho Python {version}\n')
    path.chmod(0o755)
    return path


def program(path: Path, line: str) -> None:
    """Write a program of the shell, of one line."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def disk(checkout: Path, free: int, system: str = "Linux x86_64") -> None:
    """Let the disk of `checkout` have `free` kB free, on a machine of kind `system`."""
    program(checkout / "bin/df", f"echo Filesystem; echo /dev/disk 9000000 0 {free} 0% /")
    program(checkout / "bin/uname", f"echo {system}")


def make(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    environment["PATH"] = f"{checkout / 'bin'}{os.pathsep}{environment['PATH']}"
    return subprocess.run(["make", *words], cwd=checkout, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", ["2.7", "3.1", "3.9", "3.10"])
@pytest.mark.parametrize("target", ["demo", "test"])
def test_a_python_that_is_too_old_is_refused_before_pip_starts(checkout, version, target):
    old = python(checkout / "old", version)
    ended = make(checkout, target, f"PYTHON={old}")
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[0] == (
        f"{old} is Python {version}; 3.11 or later is needed: make {target} PYTHON=python3.11"
    )
    assert (checkout / "old.asked").read_text().count("\n") == 1  # its version, and nothing else
    assert not (checkout / ".venv").exists()


def test_an_environment_of_a_python_that_is_too_old_is_to_be_removed(checkout):
    python(checkout / ".venv/bin/python", "3.10")
    ended = make(checkout, "demo", f"PYTHON={python(checkout / 'new', '3.12')}")
    assert ended.stderr.splitlines()[0] == (
        ".venv/bin/python is Python 3.10; 3.11 or later is needed: remove .venv, then make demo PYTHON=python3.11"
    )


def test_a_python_that_is_missing_is_refused(checkout):
    ended = make(checkout, "demo", "PYTHON=nowhere")
    assert ended.stderr.startswith("nowhere is no Python that runs; 3.11 or later is needed")


@pytest.mark.parametrize("target", ["demo", "test"])
def test_a_disk_that_is_too_full_is_refused_before_pip_starts(checkout, target):
    new = python(checkout / "new", "3.11")
    disk(checkout, 6_999_999)
    ended = make(checkout, target, f"PYTHON={new}")
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[0] == (
        ".venv will take 7 GB, and its disk has 6999 MB free: make room, choose another disk with "
        f"make {target} VENV=DIR, or install a torch for CPUs first (README.md, section Install)"
    )
    assert (checkout / "new.asked").read_text().count("\n") == 1  # its version, and nothing else
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(
    "free, system", [(7_000_000, "Linux x86_64"), (6_999_999, "Linux aarch64"), (6_999_999, "Darwin arm64"), ("", "")]
)
def test_room_enough_and_a_torch_without_cuda_are_not_refused(checkout, free, system):
    disk(checkout, free, system)
    ended = make(checkout, ".venv/.installed", f"PYTHON={python(checkout / 'new', '3.11')}")
    assert "-m venv .venv" in (checkout / "new.asked").read_text()
    assert "will take" not in ended.stderr


def test_an_environment_that_has_a_torch_needs_no_room_for_it(checkout):
    python(checkout / ".venv/bin/python", "3.11")  # it answers every question with success
    disk(checkout, 1)
    assert make(checkout, ".venv/.installed").returncode == 0


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.20"])
def test_demo_installs_what_running_needs_and_tests_install_the_rest(checkout, version):
    new = python(checkout / ".venv/bin/python", version)
    disk(checkout, 7_000_000)
    assert make(checkout, ".venv/.installed").returncode == 0
    asked = Path(f"{new}.asked").read_text()
    assert "pip --disable-pip-version-check install --editable .\n" in asked
    assert "[dev]" not in asked
    assert make(checkout, ".venv/.installed-dev").returncode == 0
    assert "install --editable .[dev]" in Path(f"{new}.asked").read_text()
    demo = make(checkout, "--dry-run", "demo")
    assert "pip" not in demo.stdout  # nothing is installed twice
