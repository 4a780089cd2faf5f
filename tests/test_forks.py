"""A fork of the warm process is a process like any other."""

import os
import signal
import subprocess

import pytest

from tests.forks import Forked, fork
from tests.waiting import HANG_S

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tmp_path):
    def start(program: str, *arguments: str, **options) -> Forked:
        return fork(program, arguments, cwd=tmp_path, env={"PATH": os.environ["PATH"], "ONLY": "this"}, **options)

    return start


def test_it_has_the_arguments_folder_environment_and_streams_it_was_given(run, tmp_path):
    process = run(
        "import os, sys; print(sys.argv, os.getcwd(), os.environ.get('ONLY'), os.environ.get('HOME'), __name__)\n"
        "os.system('echo $ONLY'); print(os.getpid(), file=sys.stderr); print(repr(sys.stdin.read()))",
        "a", "b c",
    )  # fmt: skip
    out, err = process.communicate(timeout=HANG_S)
    assert sorted(out.splitlines()) == ["''", f"['-c', 'a', 'b c'] {tmp_path} this None __main__", "this"]
    assert (process.returncode, int(err)) == (0, process.pid)


@pytest.mark.parametrize(
    ("program", "code", "told"),
    [
        ("raise SystemExit(7)", 7, ""),
        ("raise SystemExit('why')", 1, "why"),
        ("raise ValueError('no')", 1, "Traceback"),
        ("import os; os._exit(9)", 9, ""),
        ("import atexit; atexit.register(lambda: print('the end', file=__import__('sys').stderr))", 0, "the end"),
    ],
)
def test_it_ends_as_an_interpreter_does(run, program, code, told):
    process = run(program)
    assert told in process.communicate(timeout=HANG_S)[1]
    assert process.wait() == process.poll() == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_signal_ends_it_as_it_ends_a_new_interpreter(run, number):
    process = run("print('here', flush=True); import time; time.sleep(600)")
    assert process.stdout.readline() == "here\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    assert process.poll() is None
    process.send_signal(number)
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == -number
    assert ("KeyboardInterrupt" in err) == (number == signal.SIGINT)


def test_it_holds_no_file_of_another_and_leads_a_session_if_asked(run):
    living = run("print('here', flush=True); import time; time.sleep(600)", start_new_session=True)
    assert living.stdout.readline() == "here\n"
    assert os.getsid(living.pid) == living.pid
    out, _ = run("import os; print(len(os.listdir('/proc/self/fd')), os.getsid(0))").communicate(timeout=HANG_S)
    living.kill()
    living.communicate(timeout=HANG_S)
    again, _ = run("import os; print(len(os.listdir('/proc/self/fd')), os.getsid(0))").communicate(timeout=HANG_S)
    assert out == again
    assert int(out.split()[1]) == os.getsid(0)


def test_one_without_a_package_has_nothing_of_it_and_finds_nothing_of_it(run):
    program = (
        "import sys; print([name for name in sys.modules if name.startswith('trainers.maml')])\n"
        "import sweeper.cli, trainers.function.decorator; print(len(sys.modules) > 1000)\n"
        "try: import trainers.maml.config\n"
        "except ImportError as error: print(error.name)"
    )
    out, _ = run(program, without="trainers.maml").communicate(timeout=HANG_S)
    assert out.splitlines() == ["[]", "True", "trainers.maml"]
    assert run("import trainers.maml.config").wait(HANG_S) == 0


def test_it_writes_to_an_open_file(run, tmp_path):
    with (tmp_path / "log").open("wb") as log:
        process = run("import sys; print(1); print(2, file=sys.stderr)", stdout=log.fileno(), stderr=log.fileno())
    assert process.wait(HANG_S) == 0
    assert sorted((tmp_path / "log").read_text().split()) == ["1", "2"]
