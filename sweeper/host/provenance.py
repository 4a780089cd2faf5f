"""What a number was made with: code, versions, machine. Read once per run. Does not import the packages."""

import hashlib
import os
import platform
import socket
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numpy", "numba", "llvmlite", "ray", "mlflow")
SOURCES = ("sweeper", "trainers")
SOURCE_SUFFIXES = (".py", ".yaml")


@lru_cache(maxsize=1)
def commit() -> tuple[str, bool]:
    """Return the commit of this code and whether tracked files are changed.

    Outside a checkout the version stands for the commit, such as ("sweeper 0.1.0", False).
    """
    root = Path(__file__).resolve().parents[2]
    try:
        if Path(_git(root, "rev-parse", "--show-toplevel")).resolve() != root:
            return _release(), False  # installed inside the checkout of another project
        head = _git(root, "rev-parse", "HEAD")
        return head, bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return _release(), False


def _release() -> str:
    """Return the installed version; "unknown" if this code is not installed."""
    try:
        return f"sweeper {version('sweeper')}"
    except PackageNotFoundError:
        return "unknown"


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    # In a hook, git sets GIT_DIR and others to the repository of the hook. Only settings of the configuration may stay.
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith("GIT_CONFIG_")
    }
    return subprocess.run(command, capture_output=True, text=True, check=True, env=inherited).stdout.strip()


@lru_cache(maxsize=1)
def circumstances() -> dict[str, Any]:
    """Return host, pid, processor, commit, dirty flag and package versions, as JSON values."""
    sha, dirty = commit()
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "processor": _processor(),
        "commit": sha,
        "dirty": dirty,
        "versions": installed(),
    }


def installed() -> dict[str, str]:
    """Return the versions of Python and of the installed ones of PACKAGES, without importing them."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=1)
def source_digest() -> str:
    """Return the sha256 of the names and contents of all source files of sweeper and trainers.

    The shipped sweeps are no code. They are a link in a checkout and files in an installed wheel.
    """
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    files = (path for name in SOURCES for path in (root / name).rglob("*") if path.suffix in SOURCE_SUFFIXES)
    for path in sorted(path for path in files if not path.is_relative_to(root / "sweeper/sweeps")):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
