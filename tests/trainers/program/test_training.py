"""Programs that run: they train, grow and resume to the bit, end in every way, and leave no process behind."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.plugs import toy_function
from tests.processes import alive
from tests.waiting import wait_until
from trainers.program import process
from trainers.program.trainer import from_mapping
from trainers.program.training import ProgramError
from trainers.testing import check_growth, check_resume
from trainers.trainer import Record, Task, TrainerError

PLUGS = Path(toy_function.__file__).parent
PYTHON = sys.executable
FIELDS = {"lr": {"type": "float", "default": 0.1}, "steps": {"type": "int", "default": 6}}
METRICS = {"closeness": None, "loss": {"better": "lower"}}
HEAD = "import json, os, signal, sys, time\nsay = lambda **line: print(json.dumps(line), flush=True)\n"


def toy_program(**changed):
    words = ["toy_program.py", "--lr", "{lr}", "--steps", "{steps}", "--seed", "{seed}"]
    given = {"command": [PYTHON, *words], "fields": FIELDS, "metrics": METRICS, "length": "steps", "resumes": True}
    return from_mapping(given | {"grace_s": 10} | changed, PLUGS)


@pytest.fixture
def program(tmp_path):
    """Make a trainer of the text of a Python program, which is given steps and seed as its arguments."""

    def make(text, **changed):
        (tmp_path / "own.py").write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
        given = {
            "command": [PYTHON, "own.py", "{steps}", "{seed}"],
            "fields": {"steps": {"type": "int", "default": 3}},
            "metrics": ["loss"],
            "length": "steps",
            "grace_s": 10,
        }
        return from_mapping(given | changed, tmp_path)

    return make


def chunks(trainer, values=None, state=None, chunk_s=0.05, folders=(), log=print):
    config = trainer.resolve(values or {})
    begun = trainer.begun(config) if state is None else state
    return trainer.train(Task(configs=[config], states=[begun], chunk_s=chunk_s, folders=folders, log=log))


def ended(trainer, values=None, **options):
    """Return all records of a training, and its last chunk."""
    records, last = [], None
    for last in chunks(trainer, values, **options):
        records += last.runs[0].records
    return records, last


def failed(trainer, values=None, **options):
    """Return the steps that a training sent before it failed, and the error."""
    seen = []
    with pytest.raises((TrainerError, ProgramError)) as caught:
        for chunk in chunks(trainer, values, **options):
            seen += [record.step for record in chunk.runs[0].records]
    return seen, caught.value


def loss(*steps):
    return [Record(step, "readings", {"loss": float(step)}) for step in steps]


LOOP = """
for step in range(1, int(sys.argv[1]) + 1):
    say(step=step, loss=step)
"""


def test_the_toy_measures_as_its_function_does(tmp_path):
    records, last = ended(toy_program(), {"seed": 3}, folders=[tmp_path])
    toy = toy_function.toy
    config = toy.resolve({"seed": 3})
    *_, function = toy.train(Task(configs=[config], states=[toy.begun(config)], chunk_s=60))
    assert records == list(function.runs[0].records)
    assert last.runs[0].status == "done"
    (state,) = last.states()
    assert (state.step, state.records) == (6, tuple(records))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_toy_grows_and_resumes_to_the_bit():
    check_growth(toy_program(), {"seed": 3}, 3, 6)
    command = [PYTHON, "toy_program.py", "--lr", "{lr}", "--steps", "{steps}", "--seed", "{seed}", "--pause", "0.05"]
    check_resume(toy_program(command=command), {"seed": 3}, chunk_s=0.12, at_most=3)


def test_a_checkpoint_survives_its_file(tmp_path):
    trainer = toy_program()
    _, last = ended(trainer)
    (state,) = last.states()
    trainer.save_together([(tmp_path / "a", state)])
    assert trainer.load(tmp_path / "a") == state
    assert [step for step, _, _ in trainer.records_in((tmp_path / "a").read_bytes()[65:])] == [1, 2, 3, 4, 5, 6]


def test_a_program_that_does_not_resume_starts_again(program):
    trainer = program(LOOP)
    records, last = ended(trainer)
    assert (records, last.runs[0].status, last.states()) == (loss(1, 2, 3), "done", (None,))
    check_growth(trainer, {}, 2, 4)


def test_a_program_without_a_length_is_done_when_it_ends(program):
    command = [PYTHON, "own.py", "2", "{seed}"]
    trainer = program(LOOP, command=command, fields={}, length=None)
    records, last = ended(trainer)
    assert (records, last.step, last.runs[0].status) == (loss(1, 2), 2, "done")


def test_a_trial_at_its_length_starts_no_program(tmp_path):
    trainer = toy_program()
    records, last = ended(trainer, {"steps": 4})
    (state,) = last.states()
    (again,) = chunks(toy_program(command=["absent", "{lr}", "{seed}"]), {"steps": 4}, state)
    assert (list(again.runs[0].records), again.runs[0].status, again.states()) == (records, "done", (state,))


def test_other_lines_and_errors_are_logged(program):
    trainer = program("""
        print("epoch 1")
        print("warning", file=sys.stderr, flush=True)
        sys.stdout.buffer.write(b"\\x00\\xff rubbish\\n" + b"x" * 3_000_000 + b"\\n")
        print('{"loss": 3}', flush=True)
        for step in range(1, int(sys.argv[1]) + 1):
            say(step=step, loss=step)
        print("no newline at the end", end="", flush=True)
    """)
    lines = []
    records, _ = ended(trainer, log=lines.append)
    assert records == loss(1, 2, 3)
    assert {"epoch 1", "warning", "\ufffd\ufffd rubbish", '{"loss": 3}', "no newline at the end"} <= set(lines)
    assert any(line.startswith("x" * 2000 + "... (10") for line in lines)


def test_a_reader_that_lags_loses_no_line(program, monkeypatch):
    monkeypatch.setattr(process, "_MOST_WAITING", 50)
    trainer = program("for step in range(1, int(sys.argv[1]) + 1): print(json.dumps({'step': step, 'loss': step}))")
    records, waited = [], False
    for chunk in chunks(trainer, {"steps": 20_000}, chunk_s=0.01):
        records += chunk.runs[0].records
        if not waited:
            time.sleep(0.5)
            waited = True
    assert records == loss(*range(1, 20_001))


def test_a_silent_program_has_a_heartbeat(program, tmp_path):
    trainer, seen = program("while not os.path.exists('go'): time.sleep(0.01)\n" + LOOP), []
    for chunk in chunks(trainer, chunk_s=0.05):
        seen.append(len(chunk.runs[0].records))
        if len(seen) == 3:
            (tmp_path / "go").touch()
    assert seen[:3] == [0, 0, 0]
    assert sum(seen) == 3


def test_it_runs_in_the_folder_of_the_sweep_file_and_knows_its_surroundings(program, tmp_path):
    trainer = program("""
        print(os.getcwd(), os.environ["SWEEPER_CHECKPOINT"], os.environ["SWEEPER_DEVICE"], sep="|")
        print(os.environ["OMP_NUM_THREADS"], sys.stdin.read() == "", os.getpgid(0) == os.getpid())
        say(step=3, loss=3)
    """)
    trainer.make_ready("cpu", 2, 1.0)
    lines = []
    (tmp_path / "attempt").mkdir()
    ended(trainer, log=lines.append, folders=[tmp_path / "attempt"])
    assert f"{tmp_path}|{tmp_path / 'attempt' / 'checkpoint'}|cpu" in lines
    assert "2 True True" in lines


@pytest.mark.parametrize(
    ("text", "seen", "message"),
    [
        ("say(step=1, loss=1); sys.exit(3)", [1], "ended at step 1 with exit code 3"),
        ("say(step=1, loss=1); print('own'); 1 / 0", [1], "\nZeroDivisionError: division by zero"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", [], "ended at step 0 with signal SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", [], "ended at step 0 with signal SIGKILL"),
        ("say(step=3, loss=3); sys.exit(1)", [3], "ended at step 3 with exit code 1"),
        ("say(step=2, loss=2)", [2], 'ended at step 2 of 3; it must print a line such as {"step": 3, ...}'),
        ("", [], "ended at step 0 of 3"),
        ("say(step=3)", [], 'ended without a measurement; it must print lines such as {"step": 1, "loss": 0.5}'),
        ("say(step=2, loss=2); say(step=1, loss=1)", [2], "printed step 1 after step 2; steps never go back"),
        ("say(step=2, loss=2); say(step=2, loss=1)", [2], "printed values of step 2 twice; print all values of a step"),
        ("say(step=4, loss=4)", [], "printed step 4, but its steps is 3"),
        ("say(step='1', loss=4)", [], "printed step '1'; a step is a whole number from 0"),
        ("say(step=-1)", [], "printed step -1; a step is a whole number from 0"),
        ("say(step=True)", [], "printed step True; a step is a whole number from 0"),
        ("say(step=1.0)", [], "printed step 1.0; a step is a whole number from 0"),
        ("say(step=10**30)", [], "printed step 1000000000000000000000000000000"),
        ("say(step=1, los=4)", [], "step 1: metric 'los' is not declared; declared are loss"),
        ("say(step=1, loss='4')", [], "step 1: metric loss must be a number, got '4' (str)"),
        ("say(step=1, loss=None)", [], "step 1: metric loss must be a number, got None"),
        ("say(step=1, loss=[4])", [], "step 1: metric loss must be a number, got [4]"),
        ("say(step=1, loss=float('nan'))", [], "step 1: metric loss must be a finite number, got nan"),
        ("say(step=1, loss=10**400)", [], "step 1: metric loss must be a finite number, got inf"),
        (
            "say(step=1, checkpoint=True)",
            [],
            "step 1: checkpoint must be the name of a file or folder in SWEEPER",
        ),
        (
            "say(step=1, checkpoint='..')",
            [],
            "step 1: checkpoint must be the name of a file or folder in SWEEPER",
        ),
        ("say(step=1, checkpoint='a/b')", [], "which the program never changes again, got 'a/b'"),
        ("say(step=1, diverged=3)", [], "step 1: diverged must be true or false, got 3"),
    ],
)
def test_a_faulty_program_is_told_in_a_sentence(program, text, seen, message):
    found, error = failed(program(text))
    assert found == seen
    assert str(error).startswith("trainer ")
    assert message in str(error)


@pytest.mark.parametrize("command", ["absent {steps} {seed}", "./own.py {steps} {seed}", ". {steps} {seed}"])
def test_a_program_that_can_not_be_started_is_told(program, command):
    found, error = failed(program("", command=command))
    assert found == []
    assert "exit code 127; its last lines:" in str(error)
    assert f"{command.split()[0]} can't be started: " in str(error).splitlines()[-1]


def test_a_folder_that_is_not_here_is_told(program, tmp_path):
    trainer = program(LOOP)
    trainer.folder = tmp_path / "absent"
    assert "the folder of the sweep file" in str(failed(trainer)[1])


def test_it_diverges(program):
    trainer = program("say(step=2, loss=2, diverged='loss is nan')\ntime.sleep(60)")
    records, last = ended(trainer)
    assert records == loss(2)
    assert (last.runs[0].status, last.runs[0].message) == ("diverged", "diverged at step 2: loss is nan")
    records, last = ended(program("say(step=2, diverged=True)\nsys.exit(1)"))
    assert (records, last.runs[0].message) == ([], "diverged at step 2")


FOREVER = """
step = 0
while True:
    step += 1
    say(step=step, loss=step)
    time.sleep(0.001)
"""


def test_a_program_that_does_not_know_its_length_is_stopped_there(program):
    command = [PYTHON, "own.py", "{seed}"]
    for resumes in (False, True):
        records, last = ended(program(FOREVER, command=command, resumes=resumes))
        assert (records, last.step, last.runs[0].status) == (loss(1, 2, 3), 3, "done")


def test_a_program_that_stays_after_its_last_step_is_ended(program):
    started_s = time.monotonic()
    records, last = ended(program(LOOP + "time.sleep(600)", grace_s=0.3))
    assert (records, last.runs[0].status) == (loss(1, 2, 3), "done")
    assert time.monotonic() - started_s < 600  # it would have slept for so long


SAVES = """
folder = os.environ["SWEEPER_CHECKPOINT"]
step = max(map(int, os.listdir(folder)), default=0)
stopping = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
while step < int(sys.argv[1]):
    step += 1
    say(step=step, loss=step)
    if stopping:
        open(os.path.join(folder, str(step)), "w").close()
        say(step=step, checkpoint=str(step))
        print("saved", flush=True)
        break
    time.sleep(0.01)
"""


def test_a_program_that_is_stopped_has_time_to_save(program):
    trainer = program(SAVES, resumes=True)
    lines = []
    running = chunks(trainer, {"steps": 100_000}, log=lines.append)
    last = next(chunk for chunk in running if chunk.step >= 2)
    running.close()
    (state,) = last.states()
    assert "saved" in lines
    assert state.step > last.step
    assert state.records == tuple(loss(*range(1, state.step + 1)))
    records, last = ended(trainer, {"steps": state.step + 2}, state=state)
    assert records == loss(*range(1, state.step + 3))
    assert last.runs[0].status == "done"


def test_a_program_that_ignores_its_checkpoint_is_told(program):
    trainer = program(SAVES, resumes=True)
    running = chunks(trainer, {"steps": 100_000})
    last = next(chunk for chunk in running if chunk.step >= 2)
    running.close()
    _, error = failed(program(LOOP, resumes=True), {"steps": 100_000}, state=last.states()[0])
    assert "it was given the checkpoint of step" in str(error)


def test_a_program_that_ignores_the_signal_is_killed(program):
    trainer = program("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FOREVER, grace_s=0.2)
    lines = []
    running = chunks(trainer, {"steps": 100_000}, log=lines.append)
    next(chunk for chunk in running if chunk.step >= 2)
    running.close()
    assert lines[-1] == "is killed, because it did not end in 0.2 s after SIGTERM"


def test_a_folder_that_can_not_be_kept_is_told(program):
    text = """
    os.symlink("/etc", os.path.join(os.environ["SWEEPER_CHECKPOINT"], "link"))
    say(step=1, loss=1, checkpoint="link")
    time.sleep(60)
    """
    found, error = failed(program(text, resumes=True))
    assert found == [1]
    assert "its state can't be saved at step 1: link is no plain file" in str(error)


@pytest.mark.slow
def test_a_program_that_runs_ahead_of_its_reader_resumes_at_the_step_of_its_checkpoint(program, monkeypatch):
    """The state of a later step never gets the name of an earlier one, however late a line is read."""
    heard = process.step_line
    monkeypatch.setattr(process, "step_line", lambda line: (time.sleep(0.05), heard(line))[1])
    text = """
    folder = os.environ["SWEEPER_CHECKPOINT"]
    step = max(map(int, os.listdir(folder)), default=0)
    while step < int(sys.argv[1]):
        step += 1
        open(os.path.join(folder, str(step)), "w").close()
        say(step=step, loss=step, checkpoint=str(step))
    """
    running = chunks(program(text, resumes=True), {"steps": 50}, chunk_s=0.0)
    last = next(chunk for chunk in running if chunk.states()[0] is not None)
    (state,) = last.states()
    running.close()
    assert state.step < 50
    records, last = ended(program(text, resumes=True), {"steps": 50}, state=state)
    assert records == loss(*range(1, 51))


def test_a_checkpoint_that_is_gone_when_its_line_is_read_is_said_and_the_last_one_kept(program):
    text = """
    folder = os.environ["SWEEPER_CHECKPOINT"]
    open(os.path.join(folder, "2"), "w").close()
    say(step=1, loss=1, checkpoint="1")
    say(step=2, loss=2, checkpoint="2")
    say(step=3, loss=3)
    """
    lines = []
    records, last = ended(program(text, resumes=True), log=lines.append)
    assert records == loss(1, 2, 3)
    assert "no checkpoint at step 1: 1 is not in the folder, or no more" in lines
    assert last.states()[0].step == 2


def gone(numbers):
    """Return True once the processes have ended."""
    wait_until(lambda: not any(map(alive, numbers)), "the end of each process")
    return True


FAMILY = """
import subprocess
sleeper = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"]
numbers = [os.getpid(), subprocess.Popen(sleeper).pid, subprocess.Popen(sleeper, start_new_session=True).pid]
open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "numbers"), "w").write(json.dumps(numbers))
say(step=1, loss=1)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("end", ["time.sleep(600)", "sys.exit(1)", "say(step=3, loss=3)"])
def test_no_process_survives_its_training(program, tmp_path, end):
    running = chunks(program(FAMILY + end, grace_s=0.2))
    next(chunk for chunk in running if chunk.step >= 1)
    numbers = json.loads((tmp_path / "numbers").read_text())
    if end.startswith("time"):
        running.close()
    else:
        try:
            list(running)
        except ProgramError:
            assert end.startswith("sys")
    assert gone(numbers)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_process_survives_a_worker_that_is_killed(program, tmp_path):
    program(FAMILY + "time.sleep(600)")
    worker = f"""
from pathlib import Path
from trainers.program.trainer import from_mapping
from trainers.trainer import Task
trainer = from_mapping({{"command": [{PYTHON!r}, "own.py", "{{seed}}"], "metrics": ["loss"]}}, Path({str(tmp_path)!r}))
config = trainer.resolve({{}})
for chunk in trainer.train(Task(configs=[config], states=[trainer.begun(config)], chunk_s=0.1)):
    pass
"""
    running = subprocess.Popen([PYTHON, "-c", worker], env={**os.environ, "TMPDIR": str(tmp_path)})
    wait_until(lambda: (tmp_path / "numbers").exists() and (tmp_path / "numbers").read_text(), "its processes")
    numbers = json.loads((tmp_path / "numbers").read_text())
    assert all(map(alive, numbers))
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert gone(numbers)
