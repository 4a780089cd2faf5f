"""Fixtures for tests of every package; what comes first in a run of the suite by several processes.

Parts of the project are imported where they are used: the process that hands out the tests needs none of them.
"""

import contextlib
import gc
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

from tests.garbage import search_seldom
from tests.places import ROOT
from tests.waiting import HANG_S

settings.register_profile("no clock", deadline=None)  # an example that takes long on a busy machine is not wrong
settings.load_profile("no clock")

gc.disable()  # until all tests are collected: imports leave next to no garbage, and the search for it took a third

TESTS = ROOT / "tests"
FIGURES = TESTS / "analysis" / "figures"
COMPARED = {TESTS / "analysis", TESTS / "sweeper" / "reporting"}
"""Whose tests look at pictures, or compare pages that have some."""
KERNELS = [
    ("compiled", {"dataset": "strokes", "dtype": "float32", "order": "first"}),
    ("compiled", {"dataset": "strokes", "dtype": "float64", "order": "second"}),
    ("compiled", {"dataset": "strokes", "dtype": "float32", "order": "second"}),
]
"""An engine and a config for each kind of kernels that many tests need, in the order in which they need them."""


MEMORY = Path("/dev/shm")
ROOM = 8 << 30
"""Bytes that are free in memory where the suite's temporary folders are there: it writes less than a tenth of it."""


def pytest_configure(config: pytest.Config) -> None:
    """Put temporary folders into memory where there is room, and let Ray's workers be as important as the tests.

    A busy disk made the tests wait for half of their time. Ray gives its workers a niceness of 15, so beside the tests
    that compute they took minutes to start.
    """
    os.environ.setdefault("RAY_worker_niceness", "0")
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))  # pytest's own variable


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files of slow tests alone first and files without any last, so that no process is left alone with a long one.

    A file's tests stay together and in their order.
    """
    slow: dict[Path, set[bool]] = {}
    for item in items:
        slow.setdefault(item.path, set()).add(item.get_closest_marker("slow") is not None)
    ranks = {(True,): 0, (False, True): 1, (False,): 2}
    items.sort(key=lambda item: ranks[tuple(sorted(slow[item.path]))])


def pytest_collection_finish() -> None:
    search_seldom()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Spare what takes long and no test looks at, once a test has loaded what does it.

    Blank stores of MLflow are copies of one (see blank_store). Pictures are blank where no test looks at them
    (see blank_pictures), and a PDF keeps fonts a quick way but in the tests of figures.
    """
    if "mlflow.store.tracking.sqlalchemy_store" in sys.modules:
        from tests.blank_store import copy_from_now_on

        copy_from_now_on()
    if style := sys.modules.get("analysis.figures.style"):
        from tests.blank_pictures import draw_blank

        draw_blank(COMPARED.isdisjoint(item.path.parents))
        style.RC["pdf.fonttype"] = 42 if FIGURES in item.path.parents else 3


@pytest.hookimpl(wrapper=True)
def pytest_sessionstart(session: pytest.Session) -> Iterator[None]:
    """Compile what kernels are missing beside the first tests: processes that need them would wait for each other.

    Without slow tests it is not worth its while to look which of some kernels are missing.
    """
    yield
    some_do = session.config.getoption("markexpr") == "not slow" and not _nothing_kept()
    if session.config.getoption("numprocesses", None) and not some_do:  # None without xdist and in its workers
        command = [sys.executable, "-m", "trainers.maml.compile_ahead"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, cwd=ROOT)
        assert process.stdin is not None
        process.stdin.write(json.dumps(KERNELS))
        process.stdin.close()


def _nothing_kept() -> bool:
    from trainers.maml.engines.kernel_cache import nothing_kept

    return nothing_kept()


def pytest_collection(session: pytest.Session) -> None:
    """Import the modules of tests in a process of xdist beginning at a place of its own.

    pytest rewrites the assertions of a module at its first import and keeps the result. Processes that all begin at the
    first module would each rewrite every one.
    """
    worker = getattr(session.config, "workerinput", None)
    if worker is None or session.config.args != session.config.getini("testpaths"):
        return
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sorted(TESTS.rglob("test_*.py"))]
    first = int(worker["workerid"].removeprefix("gw")) * len(names) // worker["workercount"]
    for name in names[first:] + names[:first]:
        with contextlib.suppress(Exception, pytest.skip.Exception):  # collecting says what is wrong with it
            importlib.import_module(name)


@pytest.fixture(scope="session", autouse=True)
def leave_nothing_in_memory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Remove this process's temporary folders, if they are in memory, unless a test failed."""
    yield
    folder = tmp_path_factory.getbasetemp()
    if folder.is_relative_to(MEMORY) and not request.session.testsfailed:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def patience() -> Iterator[None]:
    """Let what sweeper does in this process be the same on however busy a machine.

    A run leaves the last of its store to no other process, and nothing tells now and then how far it is.
    """
    from sweeper.cli.data import adding
    from sweeper.running import session as running
    from sweeper.tracking import views

    with pytest.MonkeyPatch.context() as patch:
        for module in (running, views):
            patch.setattr(module, "GRACE_S", HANG_S)
        patch.setattr(adding, "TOLD_EVERY_S", float("inf"))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of the real data sets, or skip the test where there is none."""
    beside = ROOT.parent / "shared" / "data"
    folder = Path(os.environ.get("SWEEPER_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}: set SWEEPER_DATA, or put it into {beside}")
    return folder


@pytest.fixture(scope="session")
def characters() -> NDArray[np.uint8]:
    """Return the synthetic characters, drawn once; they can't be written to."""
    from trainers.data import strokes
    from trainers.data.datasets import STROKES_SEED

    drawn = strokes.make(STROKES_SEED)
    drawn.flags.writeable = False
    return drawn


@pytest.fixture
def drawn_before(characters: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `strokes.make` return the characters that are drawn already: drawing takes a second of a CPU."""
    from trainers.data import strokes
    from trainers.data.datasets import STROKES_SEED

    monkeypatch.setattr(strokes, "make", {STROKES_SEED: characters}.__getitem__)
