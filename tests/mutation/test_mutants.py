"""A mutant is a small fault of one function, and in `make test-long` the tests of the maths notice each that counts."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import FunctionType

import pytest

from tests.budget import LONG
from tests.mutation.mutants import live, mutants_in, mutants_of
from tests.mutation.run import MODULES, Runner, _forked
from tests.places import ROOT

SOURCE = '''
"""A module."""
import functools

LIMIT = 3

@functools.lru_cache
def area(x: "int", y=2):
    """Return x * y."""
    if x < LIMIT:
        raise ValueError(f"{x + 1} is below 3")
    return x * y + 1

class Box:
    @property
    def side(self):
        return self.area.detach() if self.known else max(self.a[1:])
'''
KNOWN = Path(__file__).with_name("survivors.txt")


def names(source: str = SOURCE) -> set[str]:
    return {mutant.name.removeprefix("m ") for mutant in mutants_in(source, "m", "m.py")}


def test_each_operator_number_and_branch_is_changed_and_no_word_of_a_message():
    assert names() == {
        "area: if x < LIMIT: raise ValueError(f'{x + 1} is below 3') -> (nothing)",
        "area: x < LIMIT -> x <= LIMIT",
        "area: x < LIMIT -> x >= LIMIT",
        "area: x * y + 1 -> x * y - 1",
        "area: x * y -> x / y",
        "area: 1 -> 2",
        "Box.side: self.area.detach() if self.known else max(self.a[1:]) -> max(self.a[1:]) if self.known else "
        "self.area.detach()",
        "Box.side: self.area.detach() -> self.area",
        "Box.side: max(self.a[1:]) -> min(self.a[1:])",
        "Box.side: 1: -> :",
        "Box.side: 1 -> 2",
    }


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("draw(config.seed)", "draw(0)"),
        ("mean(x, dim=1)", "mean(x)"),
        ("torch.where(a, b, c)", "torch.where(a, c, b)"),
        ("x is None and y", "x is None or y"),
        ("not x", "x"),
        ("[n for n in x if n]", "for n in x"),
        ("x.sum()", "x.mean()"),
        ("x == 'first'", "'first?'"),
        ("True", "False"),
        ("x ** y", "x * y"),
    ],
)
def test_the_faults_that_people_make_are_among_them(line, changed):
    found = names(f"def f(x):\n    return {line}\n")
    assert any(name.partition(" -> ")[2].partition(" #")[0] == changed for name in found), found


def test_a_mutants_code_runs_in_the_place_of_its_functions_also_below_a_decorator():
    scope: dict = {}
    exec(compile(SOURCE, "m.py", "exec"), scope)
    area = scope["area"]
    assert area(4) == 9
    (mutant,) = [m for m in mutants_in(SOURCE, "m", "m.py") if m.name == "m area: x * y + 1 -> x * y - 1"]
    area.__wrapped__.__code__ = mutant.code
    area.cache_clear()
    assert area(4) == 7


@pytest.mark.slow
def test_every_function_of_the_maths_that_has_mutants_can_be_reached():
    for module in ("analysis.numbers.stats", "trainers.maml.episodes", "trainers.maml.engines.fused"):
        assert all(isinstance(live(module, mutant.function), FunctionType) for mutant in mutants_of(module))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("test", "code"),
    [("pass", 0), ("assert False", 1), ("raise SystemExit", 1), ("while True: pass", -24)],
)
def test_a_fork_ends_with_what_the_tests_said_or_at_its_limit_of_cpu(monkeypatch, test, code):
    """The limit is 20 s of CPU and five times what the tests took before. Only the endless test gets less:
    a fork of a process that has run thousands of tests takes seconds before its first."""
    monkeypatch.setattr("tests.mutation.run.passes", lambda item: item())
    if code < 0:
        monkeypatch.setattr("tests.mutation.run.SPARE_S", 1)

    def item() -> bool:
        try:
            exec(test)
        except AssertionError:
            return False
        return True

    pid, told = _forked(lambda: None, [item], 0.0)
    os.close(told)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == code


@pytest.mark.slow
@pytest.mark.parametrize("sound", [True, False], ids=["sound", "fails anyway"])
def test_a_killing_test_must_pass_on_the_code_as_it_is(monkeypatch, sound):
    """The second of three tests fails; it is that one that runs again, and alone."""
    monkeypatch.setattr("tests.mutation.run.passes", lambda item: item())
    mutated: list[bool] = []
    items = [lambda: True, lambda: sound and not mutated, lambda: not mutated]
    for item, name in zip(items, ("first", "second", "third"), strict=True):
        item.nodeid = name
    out = io.StringIO()
    runner = Runner(list, 10.0, 1, out)
    (mutant, *_) = mutants_in(SOURCE, "m", "m.py")
    pid, told = _forked(lambda: mutated.append(True), items, 0.0)
    living = {pid: (mutant, items, 0.0, told)}
    if sound:
        runner._note_one(living)
        assert json.loads(out.getvalue())["outcome"] == "killed"
    else:
        with pytest.raises(pytest.exit.Exception, match=r"second killed 'm area: .* fails on the code as it is too"):
            runner._note_one(living)
        assert out.getvalue() == ""


def known() -> dict[str, str]:
    """Return the survivors that were looked at, with the reason of each."""
    lines = [line for line in KNOWN.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split(" | ", 1) for line in lines)


@pytest.mark.slow
def test_every_known_survivor_is_a_mutant_of_today_and_has_a_reason():
    modules = {name.split(" ", 1)[0] for name in known()}
    of_today = {mutant.name for module in modules for mutant in mutants_of(module)}
    assert set(known()) <= of_today
    assert all(len(reason) > 20 for reason in known().values())


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.skipif(not LONG, reason="about an hour of a core: make test-long runs it")
def test_no_mutant_of_the_modules_looked_at_survives_unknown(tmp_path):
    out = tmp_path / "mutation.jsonl"
    command = [sys.executable, "-m", "tests.mutation.run", "--but", str(KNOWN), "--out", str(out)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    killed = sum(line["outcome"] == "killed" for line in found)
    print(f"\n{killed} of {len(found)} mutants killed")
    looked_at = set(re.findall(r"^# looked at: (\S+)$", KNOWN.read_text(encoding="utf-8"), re.MULTILINE))
    assert looked_at <= set(MODULES)
    left = {line["mutant"] for line in found if line["outcome"] != "killed" and line["module"] in looked_at}
    assert left == set()
