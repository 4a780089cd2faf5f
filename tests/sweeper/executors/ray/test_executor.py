"""How Ray comes up: what becomes of one that doesn't, and what is left out of it. A later death is for tests/chaos."""

import contextlib
import gc
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.forks import fork
from tests.places import ROOT
from tests.sweeper.command import environment, sweeper
from tests.sweeper.command import start as start_command
from tests.sweeper.tiny import TINY
from tests.waiting import HANG_S, wait_until
from trainers.maml.trainer import MAML

pytestmark = pytest.mark.slow


@pytest.fixture
def start(monkeypatch):
    """Return a function that runs one trial on a Ray whose start raises `error`, and tells of it."""
    from sweeper.executors.ray import daemons as ray_daemons
    from sweeper.executors.ray import executor as ray_executor

    def run(error):
        tries = []

        def init(**options):
            tries.append(options)
            raise error

        monkeypatch.setattr(ray_daemons.ray, "init", init)
        executor = ray_executor.RayExecutor(workers=8, threads=1, gpus=0)
        trial = SimpleNamespace(spec=SimpleNamespace(trainer=MAML))
        dealer = SimpleNamespace(
            stopping=threading.Event(), end_all=lambda: None, trials={"0123": trial}, examples=[trial.spec], most=1
        )
        with pytest.raises(ray_executor.SweepError) as raised:
            executor.run(dealer, lambda: None)
        assert raised.value.exit_code == 4
        return tries, str(raised.value)

    return run


def test_a_ray_that_dies_as_it_starts_is_started_once_more(start):
    tries, message = start(Exception("The current node timed out during startup."))
    assert len(tries) == 2
    assert message.startswith("Ray does not start on this machine, in two tries (The current node timed out during")
    assert "--executor inline trains without Ray" in message


BROKEN = """#!/bin/sh
for word in "$@"; do
    case $word in --log_dir=*) echo "raylet: error while loading: broken_here" > "${word#--log_dir=}/raylet.err";; esac
done
exit 3
"""
BROKEN_RAYLET = """
from sweeper.executors.ray import auth
auth.use_own()
import sweeper.executors.ray.daemons
from ray._private import services
services.RAYLET_EXECUTABLE = {script!r}
from sweeper.cli import main
main()
"""


def test_a_raylet_that_ends_as_it_starts_is_told_with_its_own_words_and_at_once(tmp_path):
    """Ray waits 30 s for a raylet that has ended, and says only that it timed out."""
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    script = tmp_path / "raylet"
    script.write_text(BROKEN)
    script.chmod(0o755)
    with tempfile.TemporaryDirectory(prefix="ray-") as short:
        words = ("run", "tiny.yaml", "--device", "cpu", "--workers", "1", "--tracking-uri", "none")
        program = BROKEN_RAYLET.format(script=str(script))
        ended = sweeper(*words, cwd=tmp_path, program=program, fresh=True, RAY_TMPDIR=short)
    assert ended.code == 4, ended.err
    assert "raylet ended with exit code 3" in ended.err and "broken_here" in ended.err
    assert "--executor inline trains without Ray" in ended.err
    assert "Traceback" not in ended.err


def test_ray_waits_longer_for_its_node_than_the_half_minute_that_it_has_fixed(monkeypatch):
    from ray._private import services

    from sweeper.executors.ray import daemons as ray_daemons

    asked = []

    def get_node(*arguments):
        asked.append(arguments)
        if len(asked) < 4:
            raise RuntimeError("not there yet")
        return {"node": 1}

    monkeypatch.setattr(services, "get_node", get_node)
    with ray_daemons._patient():
        assert services.get_node("address", "id") == {"node": 1}
    assert services.get_node is get_node and asked == [("address", "id")] * 4
    monkeypatch.setattr(ray_daemons, "START_S", 0.0)
    asked.clear()
    with ray_daemons._patient(), pytest.raises(RuntimeError):
        services.get_node("address", "id")


def test_a_ray_that_can_t_be_started_here_is_not_tried_again(start):
    tries, message = start(OSError("AF_UNIX path length cannot exceed 107 bytes"))
    assert len(tries) == 1
    assert "AF_UNIX path length cannot exceed 107 bytes" in message
    assert "set TMPDIR" in message


def test_no_more_workers_are_started_than_there_are_trials(start):
    tries, _ = start(OSError("anything"))
    assert tries[0]["num_cpus"] == 1


@pytest.mark.parametrize("module", ["daemons", "nodes", "tune"])
def test_whoever_imports_ray_has_told_it_before_to_ask_for_tokens(module):
    asked = "import ray._raylet as r; print(r.get_authentication_mode() == r.AuthenticationMode.TOKEN)"
    program = f"import sweeper.executors.ray.{module}; {asked}"
    kept = environment()
    assert "RAY_AUTH_MODE" not in kept
    out, err = fork(program, [], cwd=ROOT, env=kept).communicate(timeout=HANG_S)
    assert out.split() == ["True"], err


def test_what_is_left_out_of_ray_is_still_known_to_it():
    from ray._private.node import Node
    from ray.air._internal import usage
    from ray.tune import tune
    from ray.tune.execution import class_cache

    from sweeper.executors.ray import daemons as ray_daemons
    from sweeper.executors.ray import tune as ray_tune

    usual = [getattr(Node, name) for name in ray_daemons.UNNEEDED]
    with ray_daemons._without_unneeded():
        assert Node.start_monitor(None, anything=1) is None
    assert [getattr(Node, name) for name in ray_daemons.UNNEEDED] == usual
    assert tune.air_usage is usage
    assert class_cache._ActorClassCache().get(ray_tune._Trainable)._default_options.get("runtime_env") in (None, {})


ASK = """
import sys, ray._raylet
asked = ray._raylet.GcsClient(address=sys.argv[1])
print(asked.cluster_id.is_nil(), *(job.entrypoint for job in asked.get_all_job_info().values()))
"""


def test_who_lacks_the_token_of_a_run_cannot_reach_its_ray_and_no_command_or_file_tells_it(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY.replace("outer_steps: 4", "outer_steps: 100000"), encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="ray-") as short:
        words = ("run", "tiny.yaml", "--device", "cpu", "--workers", "1", "--tracking-uri", "none")
        process = start_command(words, tmp_path, RAY_TMPDIR=short, RAY_AUTH_TOKEN="the user's own, of another cluster")
        try:
            wait_until(lambda: list(tmp_path.glob("results/trials/*/a1/trial.log")), "the first trial")
            commands = _commands(short)
            (raylet,) = [pid for pid, told in commands.items() if told.split("\0")[0].endswith("/raylet")]
            address = re.search(r"gcs[-_]address=([\d.]+:\d+)", commands[raylet])[1]
            variables = Path(f"/proc/{raylet}/environ").read_text().split("\0")
            token = next(found for found in variables if found.startswith("RAY_AUTH_TOKEN=")).partition("=")[2]
            assert len(token) == 64

            def ask(**shown):
                command = [sys.executable, "-c", ASK, address]
                return subprocess.run(command, env=environment(**shown), capture_output=True, text=True, timeout=HANG_S)

            assert ask(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token).stdout.split() == ["False", "sweeper", "run"]
            for shown in ({"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}):
                refused = ask(**shown)
                assert refused.returncode != 0
                assert "InvalidAuthToken" in refused.stderr
            assert len(commands) >= 2
            listening = _listening(_family(process.pid))
            assert len(listening) >= 4
            assert set(listening) <= LOOPBACK
            assert not [told for told in commands.values() if token in told]
        finally:
            process.terminate()
            process.communicate(timeout=HANG_S)
        files = [path for folder in (short, tmp_path) for path in Path(folder).rglob("*") if path.is_file()]
        assert len(files) > 10
        assert not [path for path in files if token.encode() in path.read_bytes()]


LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
"""127.0.0.1 in /proc/net/tcp; the same and ::1 in /proc/net/tcp6."""


def _family(pid):
    """Return the process and all that descend from it."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def _listening(pids):
    """Return the addresses at which the processes listen, as the kernel writes them."""
    sockets = set()
    for path in (link for pid in pids for link in Path(f"/proc/{pid}/fd").glob("*")):
        with contextlib.suppress(OSError):
            sockets.add(str(path.readlink()))
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in sockets:
                found.append(local.partition(":")[0])
    return found


def test_the_daemon_that_died_is_named_with_how_it_ended(monkeypatch):
    from sweeper.executors.ray import daemons as ray_daemons

    def ended(code):
        return [SimpleNamespace(process=SimpleNamespace(poll=lambda: code))]

    node = SimpleNamespace(all_processes={"gcs_server": ended(None), "raylet": ended(-9)})
    monkeypatch.setattr(ray_daemons.ray._private.worker, "_global_node", node)
    assert ray_daemons.dead_daemons() == "raylet was ended by signal 9"
    node.all_processes = {"gcs_server": ended(1), "raylet": ended(None)}
    assert ray_daemons.dead_daemons() == "gcs_server ended with exit code 1"
    node.all_processes["gcs_server"] = ended(None)
    assert ray_daemons.dead_daemons() == ""


def _commands(folder):
    """Return the commands of living processes that name `folder`."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if folder in (told := path.read_text()):
                found[int(path.parent.name)] = told
    return found


def test_no_thread_finishes_what_ray_has_left_while_ray_is_shut_down(monkeypatch):
    """A handle finished by another thread's search for garbage at that moment ended the process with 1, untold."""
    from sweeper.executors.ray import daemons as ray_daemons

    searching, found = threading.Event(), []

    class Slow:
        def __init__(self):
            self.itself = self

        def __del__(self):
            searching.set()
            time.sleep(0.3)
            found.append("finished")

    def search():
        Slow()
        gc.collect()

    monkeypatch.setattr(ray_daemons, "_start", lambda cpus, gpus: None)
    monkeypatch.setattr(ray_daemons.ray, "shutdown", lambda: found.append(gc.isenabled()))
    with ray_daemons.started(cpus=1, gpus=0):
        threading.Thread(target=search).start()
        assert searching.wait(HANG_S)
    assert found == ["finished", False]
    assert gc.isenabled()
