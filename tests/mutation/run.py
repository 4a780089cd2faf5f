"""`python -m tests.mutation.run`: breaks the maths in small ways, and sees whether a fast test notices each time.

The tests run once as they are, to learn which of them call which function. Then each mutant has a fork of this process,
in which one function has other code and only the tests that call it run until one fails: those in the file of its
module before others, quick ones first. No test is collected twice, and nothing is written into the sources. A mutant
that never ends is ended by its limit of CPU time.

The test that killed a mutant runs once more on the code as it is. If it fails there too, the run ends: something else
makes tests fail, and a further verdict would say nothing about mutants.
"""

import argparse
import functools
import json
import os
import resource
import sys
import tempfile
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any, TextIO

import pytest

from tests.mutation.mutants import Mutant, live, mutants_of

MODULES = (
    "trainers.maml.rng",
    "trainers.maml.episodes",
    "trainers.maml.adapt",
    "trainers.maml.nested",
    "trainers.maml.networks",
    "trainers.maml.networks.conv4",
    "trainers.maml.networks.normalisation",
    "trainers.maml.model",
    "trainers.maml.evaluation",
    "trainers.maml.train",
    "trainers.maml.probes",
    "trainers.maml.methods.feature_pull",
    "trainers.maml.methods.contrastive",
    "trainers.maml.engines.adam",
    "trainers.maml.engines.outer_step",
    "trainers.maml.engines.engines",
    "trainers.maml.engines.fused",
    "trainers.maml.engines.convolutions",
    "analysis.numbers.stats",
    "analysis.numbers.endpoint",
    "analysis.numbers.measurements",
    "analysis.numbers.probes",
    "analysis.numbers.tables",
    "analysis.judging.verdicts",
    "analysis.judging.claims",
    "analysis.judging.readings",
)
TESTS = ("tests/trainers/maml", "tests/analysis/numbers", "tests/analysis/judging")
LEFT_OUT = ("test_compiled.py",)
"""Minutes of CPU, and of an engine whose formulas are compiled once: a mutant of them would change nothing."""
LONGEST_S = 10.0
"""CPU seconds of all tests of one mutant by default: those of its module's file before others, quick ones first."""
SPARE_S = 20
"""CPU seconds that a mutant has beyond five times what its tests took."""
PARTS = ("trainers.", "analysis.")


def clear_caches() -> None:
    """Forget what cached functions of ours returned: it was computed by the code as it is."""
    for name, module in list(sys.modules.items()):
        if name.startswith(PARTS):
            for value in list(vars(module).values()):
                if callable(clear := getattr(value, "cache_clear", None)):
                    clear()


class Runner:
    """A pytest plugin that runs mutants in place of the collected tests."""

    def __init__(self, chosen: Callable[[], list[Mutant]], longest_s: float, processes: int, out: TextIO) -> None:
        self._chosen, self._longest_s, self._processes, self._out = chosen, longest_s, processes, out
        self.outcomes: dict[str, int] = defaultdict(int)

    def pytest_runtestloop(self, session: Any) -> bool:
        items = [item for item in session.items if item.path.name not in LEFT_OUT]
        chosen = self._chosen()
        print(f"{len(chosen)} mutants, {len(items)} tests", file=sys.stderr, flush=True)
        functions = {(mutant.module, mutant.function): live(mutant.module, mutant.function) for mutant in chosen}
        calls = baseline(items, {function.__code__ for function in functions.values() if function})
        print(f"the tests took {sum(took for took, _ in calls.values()):.0f} s of CPU", file=sys.stderr, flush=True)
        living: dict[int, tuple[Any, list[Any], float, int]] = {}
        for mutant in chosen:
            function = functions[mutant.module, mutant.function]
            own = f"test_{mutant.module.rpartition('.')[2]}.py"
            tests = sorted(
                (items[n].path.name != own, took, n)
                for n, (took, called) in calls.items()
                if function and function.__code__ in called
            )
            while len(living) >= self._processes:
                self._note_one(living)
            if function is None or not tests:
                self._note(mutant, "untested", 0.0)
                continue
            kept, total = [], 0.0
            for _, took, n in tests:
                if kept and total + took > self._longest_s:
                    break
                kept.append(items[n])
                total += took
            change = functools.partial(setattr, function, "__code__", mutant.code)
            pid, told = _forked(change, kept, total)
            living[pid] = mutant, kept, total, told
        while living:
            self._note_one(living)
        return True

    def _note_one(self, living: dict[int, tuple[Any, list[Any], float, int]]) -> None:
        pid, status, used = os.wait4(-1, 0)
        if pid in living:
            mutant, kept, total, told = living.pop(pid)
            begun = len(os.read(told, len(kept)))
            os.close(told)
            code = os.waitstatus_to_exitcode(status)
            outcome = {0: "survived", 1: "killed"}.get(code, "killed" if code < 0 else "error")
            if outcome == "killed" and not self._passes_as_it_is(test := kept[begun - 1], total):
                pytest.exit(f"{test.nodeid} killed '{mutant.name}', and fails on the code as it is too", returncode=1)
            self._note(mutant, outcome, used.ru_utime + used.ru_stime)

    def _passes_as_it_is(self, test: Any, usual_s: float) -> bool:
        pid, told = _forked(None, [test], usual_s)
        os.close(told)
        return os.waitpid(pid, 0)[1] == 0

    def _note(self, mutant: Any, outcome: str, cpu_s: float) -> None:
        self.outcomes[outcome] += 1
        line = {"outcome": outcome, "mutant": mutant.name, "module": mutant.module, "line": mutant.line}
        self._out.write(json.dumps(line | {"cpu_s": round(cpu_s, 2)}) + "\n")
        self._out.flush()


def baseline(items: list[Any], codes: set[CodeType]) -> dict[int, tuple[float, set[CodeType]]]:
    """Run every test as it is; return for each that passed its CPU seconds and which of `codes` it ran.

    All fixtures are made for each test, so that their calls count as its own. Raises AssertionError where one fails.
    """
    found = {}
    for n, item in enumerate(items):
        called: set[CodeType] = set()

        def note(frame: Any, event: str, _: Any, called: set[CodeType] = called) -> None:
            if event == "call" and frame.f_code in codes:
                called.add(frame.f_code)

        clear_caches()
        begun = time.process_time()
        threading.setprofile(note)
        sys.setprofile(note)
        try:
            good = passes(item)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
        assert good, f"{item.nodeid} fails as it is"
        found[n] = time.process_time() - begun, called
    return found


def passes(item: Any) -> bool:
    """Run one test with fixtures of its own; return whether it passed or was skipped."""
    from _pytest.runner import runtestprotocol

    failed = [report for report in runtestprotocol(item, log=False, nextitem=None) if report.failed]
    for report in failed:
        print(report.longreprtext, file=sys.stderr, flush=True)
    return not failed


def _forked(change: Callable[[], None] | None, tests: list[Any], usual_s: float) -> tuple[int, int]:
    """Return a fork that runs `tests`, and a pipe with one byte for each test that it began.

    A fork without a `change` runs them on the code as it is, and says on stderr why one fails.
    """
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        _mutated(change, tests, usual_s, tell)
    os.close(tell)
    return pid, told


def _mutated(change: Callable[[], None] | None, tests: list[Any], usual_s: float, tell: int) -> None:
    """Run `tests` in this fork and end it: 0 if all pass, 1 if one fails, 3 if nothing could run."""
    try:
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime + SPARE_S + 5 * usual_s)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2) if change else (0, 1):
            os.dup2(nowhere, descriptor)
        if change:
            change()
        clear_caches()
    except BaseException:
        os._exit(3)
    try:
        for item in tests:
            os.write(tell, b".")
            if not passes(item):
                os._exit(1)
        os._exit(0)
    except BaseException:  # what pytest doesn't catch (an exit, an interruption) isn't a test that passes
        os._exit(1)


def _not_killed(out: Path) -> set[str]:
    """Return the names of the mutants that the run into `out` did not kill."""
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    return {line["mutant"] for line in lines if line["outcome"] != "killed"}


def main(arguments: list[str] | None = None) -> int:
    """Run; return 0 if the tests passed as they are."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.run", description=__doc__)
    parser.add_argument("modules", nargs="*", default=MODULES, help="default: all of the maths")
    parser.add_argument("--share", default="1/1", help="K/N: the K-th of N parts of all mutants, drawn by their names")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--tests", nargs="+", default=TESTS, help="files and folders of tests; default: of the maths")
    parser.add_argument("--seconds", type=float, default=LONGEST_S, help="CPU time of the tests of one mutant")
    parser.add_argument("--again", type=Path, metavar="OUT", help="only mutants that the run into OUT did not kill")
    parser.add_argument("--but", type=Path, metavar="KNOWN", help="leave out the mutants that this file names")
    parser.add_argument("--out", type=Path, default=Path("build/mutation.jsonl"), help="one line for each mutant")
    options = parser.parse_args(arguments)
    part, parts = map(int, options.share.split("/"))
    os.environ |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    left = _not_killed(options.again) if options.again else None
    but = options.but.read_text(encoding="utf-8").splitlines() if options.but else []
    known = {line.split(" | ")[0] for line in but}

    def chosen() -> list[Mutant]:
        found = [mutant for module in options.modules for mutant in mutants_of(module)]
        drawn = [mutant for mutant in found if zlib.crc32(mutant.name.encode()) % parts == part - 1]
        return [mutant for mutant in drawn if (left is None or mutant.name in left) and mutant.name not in known]

    options.out.parent.mkdir(parents=True, exist_ok=True)
    words = [
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
        "--timeout=0",
        "-m",
        "not slow",
        "-o",
        "tmp_path_retention_policy=none",
    ]
    # A folder of its own: other runs of pytest remove old ones of theirs
    with options.out.open("w", encoding="utf-8") as out, tempfile.TemporaryDirectory() as own:
        runner = Runner(chosen, options.seconds, options.processes, out)
        code = pytest.main([*words, f"--basetemp={own}/tests", *options.tests], plugins=[runner])
    print(json.dumps({"modules": len(options.modules), **runner.outcomes}))
    return int(code not in (0, 5))


if __name__ == "__main__":
    sys.exit(main())
