"""A run of any trainer that is killed at random moments ends with the numbers of one that was not."""

import random
import signal
import time
from pathlib import Path

import pytest

from sweeper.results.fold import fold
from sweeper.results.paths import Results
from tests.budget import budget
from tests.sweeper.command import start, sweeper
from tests.sweeper.plugged import FORGETFUL, SWEEP, TOY
from tests.waiting import HANG_S, wait_until

pytestmark = pytest.mark.slow

KILLS = budget(3, 10)
SEED = 11
HASTY = """
import functools, sweeper.running.session, sweeper.worker.work
sweeper.worker.work.CHECKPOINT_EVERY_S = 0.0
sweeper.running.session.Worker = functools.partial(sweeper.running.session.Worker, chunk_s=0.05)
from sweeper.cli import main
main()
"""
PAUSE = "time.sleep(0.005 if os.path.exists('go') else 0.05 if os.path.exists('walk') else 0.25)"
"""A step is slow until the test lets the run walk, and then go: no kill may come when all is done."""
SLOWLY = f"        import os, time; {PAUSE}\n        yield"
PROGRAM = """
import json, os, sys, time
from pathlib import Path

rate, seed, steps = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
folder = Path(os.environ["SWEEPER_CHECKPOINT"])
saved = sorted(folder.iterdir())
step, x = json.loads(saved[-1].read_text()) if saved else (0, 1.0 + seed)
while step < steps:
    step, x = step + 1, x - rate * x
    PAUSE
    kept = folder / f"{step:04}.json"
    kept.write_text(json.dumps([step, x]))
    print(json.dumps({"step": step, "loss": x, "error": min(x, 1.0), "checkpoint": kept.name}), flush=True)
"""
COMMAND = """trainer:
  command: [python, train.py, "{rate}", "{seed}", "{steps}"]
  fields: {rate: {type: float, default: 0.5}, steps: {type: int, default: 4}}
  metrics: {loss: {better: lower}, error: {unit: "%"}}
  length: steps
  resumes: true"""
STEPS = 60
DRAWING = FORGETFUL.replace("state = {}", "import random; state, drawn = {}, random.random()").replace(
    'min(state["x"], 1.0)', "drawn"
)
"""Each training draws another error, so that two of them can't be taken for one."""


def write(folder: Path, kind: str) -> None:
    text = SWEEP.replace("  steps: 4", f"  steps: {STEPS}")
    code = {"toy": TOY, "forgetful": DRAWING, "command": ""}[kind]
    (folder / "toy.py").write_text(code.replace("        yield", SLOWLY))
    (folder / "train.py").write_text(PROGRAM.replace("PAUSE", PAUSE))
    (folder / "toys.yaml").write_text(text.replace("trainer: toy.py:TOY", COMMAND) if kind == "command" else text)


def readings(results: Results) -> dict[str, list[tuple]]:
    found = {path.parent.name: fold(path) for path in (results.root / "trials").glob("*/journal.jsonl")}
    assert {record["status"] for record in found.values()} == {"done"}
    return {name: [(each["step"], each["values"]) for each in record["readings"]] for name, record in found.items()}


@pytest.mark.parametrize("kind", ["toy", "forgetful", "command"])
def test_a_killed_run_ends_with_the_numbers_of_one_that_was_not(tmp_path, kind):
    write(tmp_path, kind)
    (tmp_path / "walk").touch()
    moments = random.Random(SEED)
    words = ["run", "toys.yaml", "--executor", "inline", "--tracking-uri", "none", "--device", "cpu"]
    results = Results.at(tmp_path / "results")
    for kill in range(KILLS):
        process = start(words, tmp_path, program=HASTY)
        begun = len(list(results.root.glob("trials/*/a*/trial.log")))
        while len(list(results.root.glob("trials/*/a*/trial.log"))) <= begun and process.poll() is None:
            time.sleep(0.005)
        time.sleep(moments.uniform(0.1, 0.5) + 0.1 * kill)
        process.kill()
        _, err = process.communicate(timeout=HANG_S)
        assert process.returncode == -signal.SIGKILL, err
    (tmp_path / "go").touch()
    ended = sweeper(*words, cwd=tmp_path)
    assert ended.code == 0, ended.err
    undisturbed = sweeper(*words, "--results", "undisturbed", cwd=tmp_path)
    assert undisturbed.code == 0, undisturbed.err
    found, expected = readings(results), readings(Results.at(tmp_path / "undisturbed"))
    if kind == "forgetful":
        assert all(len({values.pop("error") for _, values in each}) == 1 for each in found.values())
        assert all(len({values.pop("error") for _, values in each}) == 1 for each in expected.values())
    assert found == expected
    assert all([step for step, _ in each] == list(range(1, STEPS + 1)) for each in found.values())
    logs = "".join(path.read_text() for path in results.root.glob("trials/*/a*/trial.log"))
    assert ("continues from step " in logs) == (kind != "forgetful")


def measured(results: Results) -> int:
    """Return how many trials have journalled a number."""
    return sum(b'"record"' in path.read_bytes() for path in results.root.glob("trials/*/journal.jsonl"))


def test_a_run_of_a_trainer_without_a_state_says_that_it_will_start_again(tmp_path):
    write(tmp_path, "forgetful")
    words = ["run", "toys.yaml", "--tracking-uri", "none", "--device", "cpu", "--executor", "inline"]
    process = start(words, tmp_path)
    results = Results.at(tmp_path / "results")
    wait_until(lambda: process.poll() is not None or measured(results), "the first number")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 130, err
    assert "The same command starts the others again: their trainer keeps no state." in err


def test_a_function_and_a_program_that_are_interrupted_in_workers_of_ray_save_and_go_on_from_there(tmp_path):
    """One trial of each, at the same time on one Ray."""
    write(tmp_path, "toy")
    text = (tmp_path / "toys.yaml").read_text().replace("seeds: 2", "seeds: 1").replace("[0.25, 0.5]", "[0.5]")
    (tmp_path / "toys.yaml").write_text(text)
    other = text.replace("trainer: toy.py:TOY", COMMAND).replace("name: toys", "name: programs")
    (tmp_path / "programs.yaml").write_text(other)
    words = ["run", "toys.yaml", "programs.yaml", "--tracking-uri", "none", "--device", "cpu"]
    by_ray = ["--workers", "2"]
    results = Results.at(tmp_path / "results")
    process = start([*words, *by_ray], tmp_path)
    wait_until(lambda: process.poll() is not None or measured(results) == 2, "the first number of each")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 130, err
    assert len({path.parent for path in results.root.glob("trials/*/a1/*.ckpt")}) == 2, err
    (tmp_path / "go").touch()
    ended = sweeper(*words, *budget(["--executor", "inline"], by_ray), cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert ended.err.count(" running from step ") == 2
    found = readings(results)
    assert len(found) == 2
    assert all([step for step, _ in each] == list(range(1, STEPS + 1)) for each in found.values())
