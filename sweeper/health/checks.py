"""Checks what this machine has and lacks for a run: one `Check` per line, with advice if it isn't ok.

Every check does on a small scale what a run would do (writes, locks, computes, calls). It leaves nothing behind and
repairs nothing.
"""

import os
import platform
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Literal, NamedTuple

from sweeper.errors import SweepError
from sweeper.health.requirements import holds, installed
from sweeper.host.devices import DRIVERS, has_driver
from sweeper.host.system import system, usable_cpus
from sweeper.results.damage import damage_of
from sweeper.results.locks import fault_of_locks
from sweeper.results.paths import JOURNAL, ResultsError, TrialPaths
from sweeper.tracking.address import masked, resolve_uri
from sweeper.tracking.reach import reach
from trainers.data import converted, datasets, facts
from trainers.data.archives import DataError

Verdict = Literal["ok", "warn", "bad"]

LOW_DISK = 2**30
LONGEST_SOCKET = {"macOS": 103}
"""Most bytes in the path of a Unix socket; 107 elsewhere. Ray puts its sockets below its temporary folder."""
SESSION = "/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
MOST_SKEW_S = 2.0
PLAUSIBLE_YEARS = range(2025, 2100)
INSTALL = "install sweeper again: pip install --editable ."


class Check(NamedTuple):
    """One line of output: what was checked, the verdict, what was found, and what to do unless it is ok."""

    name: str
    verdict: Verdict
    found: str
    advice: str = ""


def examine(results: Path, data_root: Path, tracking_uri: str | None) -> Iterator[Check]:
    """Yield every check, quick ones first. Converted data sets take about one second per GiB.

    `results` need not exist: then the nearest existing folder above it is checked.
    """
    place = nearest(results)
    yield platform_of(place)
    yield python()
    yield packages()
    yield cpu()
    yield cuda()
    yield disk(place)
    yield writable(results)
    yield locks(place)
    yield clock(place)
    yield sockets()
    yield from journals(results)
    yield tracking(results, tracking_uri)
    for name in facts.names():
        yield data(name, data_root)


def platform_of(place: Path) -> Check:
    """Return the operating system; a warning where it is untested, or slow for results at `place`."""
    kind, machine = system(), platform.machine()
    if kind == "Linux":
        return Check("platform", "ok", f"Linux, {machine}")
    if kind == "WSL":
        found = f"Linux in WSL, {machine}"
        if place.resolve().is_relative_to("/mnt"):
            advice = "keep the results in a folder of Linux, such as one below your home folder"
            return Check("platform", "warn", f"{found}; {place} may be a disk of Windows, which is slow", advice)
        return Check("platform", "ok", found)
    found = f"macOS {platform.mac_ver()[0]}" if kind == "macOS" else platform.system() or "unknown"
    advice = "docs/platforms.md says what differs; train the final numbers on Linux"
    return Check("platform", "warn", f"{found}, {machine}; sweeper is tested on Linux only", advice)


def python() -> Check:
    """Return whether the package allows this version of Python."""
    here = platform.python_version()
    try:
        asked = metadata("sweeper")["Requires-Python"]
    except PackageNotFoundError:
        return Check("python", "warn", f"{here}; sweeper itself isn't installed", INSTALL)
    if holds(here, asked):
        return Check("python", "ok", f"{here} at {sys.executable}")
    return Check("python", "bad", f"{here}, but {asked} is required", "install such a Python, and sweeper in it")


def packages() -> Check:
    """Return whether every required package is installed in an allowed version. MLflow may be missing."""
    try:
        found, missing, wrong = installed()
    except PackageNotFoundError:
        return Check("packages", "warn", "unknown, since sweeper itself isn't installed", INSTALL)
    if wrong or set(missing) - {"mlflow"}:
        return Check("packages", "bad", "; ".join([*wrong, *(f"{name} is missing" for name in missing)]), INSTALL)
    if missing:
        return Check("packages", "warn", "mlflow is missing", "pip install mlflow, or run with --tracking-uri none")
    main = ", ".join(f"{name} {found[name]}" for name in ("torch", "ray", "mlflow") if name in found)
    return Check("packages", "ok", f"{len(found)} installed as required, among them {main}")


def cpu() -> Check:
    """Return how many cores this process may use. A run has as many workers by default."""
    return Check("cpu", "ok", f"{usable_cpus()} of {os.cpu_count()} cores usable")


def cuda(drivers: Sequence[Path] = DRIVERS) -> Check:
    """Return whether every CUDA device computes correctly. Imports torch only if there is an NVIDIA driver."""
    if not has_driver(drivers):
        return Check("cuda", "ok", "no NVIDIA driver; runs use the CPU")
    import torch

    advice = "check nvidia-smi and that torch was built for this driver; until then use --device cpu"
    if not torch.cuda.is_available():
        return Check("cuda", "warn", "there is a driver, but torch sees no device", advice)
    names = []
    for index in range(torch.cuda.device_count()):
        names.append(torch.cuda.get_device_name(index))
        try:
            ones = torch.ones(64, 64, device=f"cuda:{index}")
            right = bool((ones @ ones == 64).all())
        except RuntimeError as error:
            return Check("cuda", "bad", f"device {index} ({names[-1]}): {str(error).splitlines()[0]}", advice)
        if not right:
            return Check("cuda", "bad", f"device {index} ({names[-1]}) computes a product of ones wrongly", advice)
    return Check("cuda", "ok", f"{', '.join(names)}; each computes correctly")


def nearest(folder: Path) -> Path:
    """Return `folder`, or the nearest existing folder above it."""
    return next(place for place in (folder, *folder.parents) if os.path.exists(place))  # noqa: PTH110  # never raises


def disk(place: Path) -> Check:
    """Return how much disk space is free for the results; less than 1 GiB is a warning."""
    free = shutil.disk_usage(place).free
    found = f"{free / 2**30:.1f} GiB free in {place}"
    if free >= LOW_DISK:
        return Check("disk", "ok", found)
    return Check("disk", "warn", found, "free some space, or name a folder on another disk with --results")


def writable(results: Path) -> Check:
    """Return whether a file in `results`, or in the nearest folder above it, can be written and renamed."""
    place = nearest(results)
    advice = "free space there or fix its permissions, or name another folder with --results"
    try:
        with suppress(FileNotFoundError):
            results.stat()  # tells of a name that is too long, or of a file above it
        with _scratch(place) as folder:
            with (folder / "part").open("wb") as file:
                file.write(b"\0" * 4096)
                file.flush()
                os.fsync(file.fileno())
            (folder / "part").rename(folder / "whole")
    except OSError as error:
        return Check("results", "bad", f"{results} can't be written: {error.strerror}", advice)
    return Check("results", "ok", f"{place} can be written")


def locks(place: Path) -> Check:
    """Return whether a file lock at `place` excludes others. Without it two runs could write one trial."""
    advice = "name a folder on a local disk with --results; on this one two runs could write the same trial"
    try:
        with _scratch(place) as folder:
            fault = fault_of_locks(folder / "lock", place)
    except OSError as error:
        fault = f"no file in {place} can be locked: {error.strerror}"
    return Check("locks", "bad", fault, advice) if fault else Check("locks", "ok", "a lock keeps others out")


def clock(place: Path) -> Check:
    """Return whether the clock is plausible and agrees with the results' file system within 2 s."""
    year = time.gmtime().tm_year
    if year not in PLAUSIBLE_YEARS:
        return Check("clock", "bad", f"it says the year {year}", "set the clock; every record stores its time")
    try:
        with _scratch(place) as folder:
            before = time.time()
            (folder / "now").write_bytes(b"")
            written, after = (folder / "now").stat().st_mtime, time.time()
    except OSError:
        return Check("clock", "warn", f"{time.strftime('%F %T %Z')}; not compared with the disk", "see results above")
    skew = max(before - written, written - after, 0.0)
    if skew > MOST_SKEW_S:
        advice = "synchronise this machine and the file server (NTP); ages of files and runs are wrong by as much"
        return Check("clock", "warn", f"{place} is {skew:.0f} s off this machine's clock", advice)
    return Check("clock", "ok", f"{time.strftime('%F %T %Z')}, the results' file system agrees")


def sockets() -> Check:
    """Return whether Ray's temporary folder is writable and its path short enough for Ray's sockets."""
    kind = system()
    # As Ray has it: on macOS it ignores TMPDIR, whose folders have long names there
    folder = os.environ.get("RAY_TMPDIR") or ("/tmp" if kind == "macOS" else tempfile.gettempdir())
    length, longest = len(f"{folder.rstrip('/')}{SESSION}".encode()), LONGEST_SOCKET.get(kind, 107)
    if length > longest:
        return Check(
            "tmp",
            "bad",
            f"{folder} is {length - longest} bytes too long for Ray's sockets",
            "set TMPDIR to a shorter path, or run with --executor inline",
        )
    try:
        with _scratch(Path(folder)):
            return Check("tmp", "ok", f"{folder} is short enough for Ray's sockets")
    except OSError as error:
        return Check("tmp", "bad", f"{folder} can't be written: {error.strerror}", "set TMPDIR to a writable one")


def journals(results: Path) -> Iterator[Check]:
    """Yield a line for each journal that its form or its checkpoints contradict, or one that says that all are sound.

    Reads every journal and the last checkpoints of the folder.
    """
    count, sound = 0, True
    for path in sorted((results / "trials").glob(f"*/{JOURNAL}")):
        trial_id, count = path.parent.name, count + 1
        try:
            damage = damage_of(TrialPaths(path.parent))
        except (ResultsError, OSError) as error:
            sound = False
            yield Check(
                "journals", "warn", str(error), f"nothing else depends on it; trial {trial_id} can't be trained"
            )
            continue
        if damage is not None:
            sound = False
            advice = f"go on from there: sweeper run FILE --mend {trial_id} --results {shlex.quote(str(results))}"
            yield Check("journals", "bad", f"{path}{damage.fault}; {damage.lost}", advice)
    if sound:
        yield Check("journals", "ok", f"{count} read, each line sound" if count else "none yet")


def tracking(results: Path, given: str | None) -> Check:
    """Return whether the tracking store answers a real request. Its password is masked."""
    try:
        uri = resolve_uri(given, results)
        if uri is None:
            return Check("tracking", "ok", "none, as requested; sweeper sync can send the journals later")
        return Check("tracking", "ok", f"{masked(uri)}: {reach(uri)}")
    except (SweepError, OSError) as error:
        advice = "trials run without it; start the store or name another with --tracking-uri, then sweeper sync FILE"
        return Check("tracking", "bad", str(error), advice)


def data(name: str, root: Path) -> Check:
    """Return whether a data set is available and its converted array, read completely, still has its digest."""
    label = f"data {name}"
    try:
        entry = datasets.describe(name, root)
    except DataError as error:
        return Check(label, "bad", "its description can't be read", str(error))
    if entry.trouble:
        return Check(label, "warn", "can't be used here, so no sweep that names it can run", entry.trouble)
    if entry.converted is None:
        status = "generated at its first use" if entry.synthetic else "available, not converted yet"
        return Check(label, "ok", f"{status}; sweeper data get {name} does it now, and checks every image")
    if entry.added:
        findings = datasets.verify(name, root)
        if findings:
            return Check(label, "bad", "its array has changed since it was added, or can't be read", findings[0])
        return Check(label, "ok", f"added, digest {entry.digest[:16]} verified")
    array = converted.find(name, entry.sources, None)
    advice = f"delete {entry.converted}; it is made again from the archives"
    try:
        if array is None or converted.stored_digest(array) != array.digest:
            return Check(label, "bad", "its converted array has changed since it was made", advice)
    except (OSError, ValueError) as error:
        return Check(label, "bad", f"its converted array can't be read ({error})", advice)
    return Check(label, "ok", f"converted, digest {array.digest[:16]} verified")


@contextmanager
def _scratch(place: Path) -> Iterator[Path]:
    """Yield a new folder in `place` and delete it afterwards."""
    with tempfile.TemporaryDirectory(prefix=".sweeper-doctor.", dir=place) as folder:
        yield Path(folder)
