"""A lab in processes of one machine: PostgreSQL, an MLflow server with passwords, a Ray cluster, and faults in each.

The short form is part of the suite. The long one, `make cluster-test`, has more trials, a head that trains none, Ray's
own patience with nodes, and longer faults; SWEEPER_CLUSTER_FULL asks for it, and SWEEPER_CLUSTER_LOG names the file for
its log.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sweeper.planning.expand import expand
from sweeper.results.journal_lines import read_lines
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load
from tests.chaos.ending import assert_ended_as, assert_shown_once, undisturbed_ending
from tests.chaos.program import HASTY, STEPS, sweep_text
from tests.cluster.lab import Cluster
from tests.cluster.store import AuthenticatedServer
from tests.forks import fork
from tests.postgres import Postgres, postgres_programs
from tests.sweeper.command import environment, sweeper, wait_for_pushes
from tests.waiting import HANG_S, wait_until

pytestmark = pytest.mark.slow

FULL = "SWEEPER_CLUSTER_FULL" in os.environ
LOG = os.environ.get("SWEEPER_CLUSTER_LOG")
SEEDS = 4 if FULL else 1
AWAY_S = 15.0 if FULL else 3.0
"""How long the server and the database are away."""
IMPATIENT = {
    "RAY_health_check_initial_delay_ms": "3000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}
"""Lets the head miss a node within a few seconds; by itself Ray takes about half a minute."""
NAME = "topology"


@pytest.fixture
def log() -> Iterator[Callable[[str], None]]:
    """Return what notes an event with its second; all of them are printed, and written where a file is named."""
    began_s, lines = time.monotonic(), []

    def note(text: str) -> None:
        lines.append(f"{time.monotonic() - began_s:6.1f} s  {text}")

    yield note
    print("\n" + "\n".join(lines))
    if LOG:
        Path(LOG).write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    pytest.importorskip("psycopg2", reason="the driver for PostgreSQL isn't installed: pip install '.[dev]'")
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL isn't installed here (no pg_ctl on the path or in /usr/lib/postgresql)")
    found = Postgres(programs)
    yield found
    found.close()


@pytest.fixture
def server(postgres, tmp_path) -> Iterator[AuthenticatedServer]:
    found = AuthenticatedServer(tmp_path, postgres)
    yield found
    found.kill()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    found = Cluster() if FULL else Cluster(cpus=1, **IMPATIENT)
    try:
        yield found
    finally:
        found.close()


class Lab:
    """One run of the sweep from the client's side."""

    def __init__(self, folder: Path, cluster: Cluster, server: AuthenticatedServer) -> None:
        self.results = Results.at(folder / "results")
        self._folder, self._server = folder, server
        (folder / "topology.yaml").write_text(sweep_text(NAME, SEEDS), encoding="utf-8")
        self.planned = {spec.trial_id for spec in expand(load(folder / "topology.yaml"))}
        words = ["run", "topology.yaml", "--device", "cpu", "--address", cluster.address, "--tracking-uri", server.uri]
        env = environment(RAY_AUTH_TOKEN=cluster.token, **server.credentials)
        with (folder / "run.log").open("wb") as said:
            self._process = fork(HASTY, words, cwd=folder, env=env, stdout=said.fileno(), stderr=said.fileno())

    def said(self) -> str:
        return (self._folder / "run.log").read_text(encoding="utf-8")

    def at_share(self, share: float) -> None:
        """Return once the journals hold this share of all outer steps."""

        def made() -> int:
            assert self._process.poll() is None, self.said()
            return sum(_step(path) for path in self.results.root.glob("trials/*/journal.jsonl"))

        wait_until(lambda: made() >= share * STEPS * len(self.planned), self.said)

    def trained_by(self) -> set[int]:
        logs = [path.read_text(encoding="utf-8") for path in self.results.root.glob("trials/*/a*/trial.log")]
        return {int(pid) for text in logs for pid in re.findall(r"begun by process (\d+)", text)}

    def finish(self) -> int:
        """Wait for the end of the run, and until the store has all of it; return the exit code of the run."""
        code = self._process.wait(HANG_S)
        wait_for_pushes(self._folder)
        if "not yet in" in self.said():
            words = ("sync", "topology.yaml", "--tracking-uri", self._server.uri)
            assert sweeper(*words, cwd=self._folder, **self._server.credentials).code == 0
        return code


def _step(journal: Path) -> int:
    return max((line["step"] for line in read_lines(journal) if line["kind"] != "attempt"), default=0)


def test_a_sweep_on_a_cluster_outlives_a_lost_node_a_restarted_server_and_a_database_that_was_away(
    tmp_path, tmp_path_factory, cluster, postgres, server, log, monkeypatch
):
    nodes = []
    for _ in range(2 if FULL else 1):  # Ray gives one of two nodes up that start at the same moment on a busy machine
        nodes.append(cluster.add(1))
        nodes[-1].wait()
        log(f"node {nodes[-1].address} with 1 CPU has joined the head at {cluster.address}")
    with ThreadPoolExecutor() as beside:
        serving = beside.submit(server.start)
        undisturbed = undisturbed_ending(tmp_path_factory, SEEDS)
        serving.result()
    log(f"MLflow answers at {server.uri} with PostgreSQL behind it; the same sweep ran alone, inline")
    assert (server.answers("wrong"), server.answers(server.password)) == (401, 200)
    lab = Lab(tmp_path, cluster, server)
    log(f"sweeper run --address {cluster.address}: {len(lab.planned)} trials of {STEPS} outer steps")
    lab.at_share(0.15)
    wait_until(lambda: lab.trained_by() & set(nodes[0].processes()), lab.said)
    log(cluster.cut_off(nodes[0]))
    lab.at_share(0.3)
    server.kill()
    log("kill -9 of the MLflow server")
    time.sleep(AWAY_S)
    server.start()
    log("the MLflow server is back")
    lab.at_share(0.5)
    postgres.stop()
    log("PostgreSQL is stopped at once")
    time.sleep(AWAY_S)
    postgres.start()
    log("PostgreSQL is back")
    code = lab.finish()
    log(f"the run has ended with exit code {code}")
    assert code == 0, lab.said()
    assert "its worker was lost" in lab.said()
    assert_ended_as(undisturbed, lab.results, lab.planned)
    lines = [line for name in lab.planned for line in read_lines(lab.results.trial(name).journal)]
    ends, attempts = (sum(line["kind"] == kind for line in lines) for kind in ("done", "attempt"))
    assert ends == len(lab.planned)
    log(f"{ends} of {len(lab.planned)} trials done, each once, in {attempts} attempts, with the undisturbed bits")
    for key, value in server.credentials.items():
        monkeypatch.setenv(key, value)
    assert_shown_once(server.uri, NAME, lab.results, lab.planned, tmp_path)
    log(f"MLflow shows {len(lab.planned)} trials, each in one finished run with its points once")
    assert_no_secret_is_written(lab, cluster, server)


def assert_no_secret_is_written(lab: Lab, cluster: Cluster, server: AuthenticatedServer) -> None:
    """Neither the token nor the password is in what the run said, or in any file of its results."""
    files = [path for path in lab.results.root.rglob("*") if path.is_file()]
    assert len(files) > len(lab.planned)
    for secret in (cluster.token, server.password):
        assert secret not in lab.said()
        assert [path for path in files if secret.encode() in path.read_bytes()] == []
