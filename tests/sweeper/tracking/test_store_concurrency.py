"""Several sweeps at once into one real MLflow server: no metric is lost, and nothing is there twice.

On PostgreSQL where the system has it. SWEEPER_STORE_RUNS says how many runs in all; `make store-test` has 2,000.
"""

import os
import signal
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from sweeper.planning.expand import expand
from sweeper.results.fold import fold
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load
from sweeper.tracking.address import UI_ENVIRONMENT
from tests.budget import LONG
from tests.mlflow_server import start_server
from tests.postgres import Postgres, postgres_programs
from tests.sweeper.command import start
from tests.sweeper.played import begin
from tests.sweeper.stores import answers, free_port
from tests.sweeper.tiny import TINY
from tests.sweeper.tracking.test_tracking_faults import endpoint_of
from tests.waiting import HANG_S, wait_until
from trainers.maml.points import points

SWEEPS = 8 if LONG or "SWEEPER_STORE_RUNS" in os.environ else 4
CELLS = 2
RUNS = int(os.environ.get("SWEEPER_STORE_RUNS", 2 * SWEEPS))
CURVE, EVALUATIONS = 40, 4
STORE = "postgresql" if postgres_programs() else "sqlite"

pytestmark = pytest.mark.slow


@contextmanager
def mlflow_server(backend: str, folder: Path) -> Iterator[str]:
    """Run a server of two processes on `backend`; yield its URI."""
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "2"]
    options += ["--artifacts-destination", str(folder / "artifacts")]
    environment = os.environ | UI_ENVIRONMENT | {"MLFLOW_BACKEND_STORE_URI": backend}
    process = start_server(options, cwd=folder, env=environment, log=folder / "server.log")
    try:
        wait_until(lambda: answers(port) or process.poll() is not None, "the server")
        assert process.poll() is None, (folder / "server.log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(HANG_S)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[str]:
    if STORE == "postgresql":
        with closing(Postgres(postgres_programs())) as database:
            yield database.uri("mlflow")
    else:
        yield f"sqlite:///{tmp_path}/store.db"


def rows(backend: str, query: str) -> list[tuple[Any, ...]]:
    """Return what the database itself says, past the server."""
    if STORE == "sqlite":
        with closing(sqlite3.connect(backend.removeprefix("sqlite:///"))) as database:
            return database.execute(query).fetchall()
    import psycopg2

    with closing(psycopg2.connect(backend.replace("+psycopg2", ""))) as database, database.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def written(folder: Path, number: int) -> Path:
    """Write a sweep of its own into `folder`, with the journals of all its trials, done; return the folder."""
    here = folder / f"lab{number}"
    here.mkdir()
    text = TINY.replace("name: tiny", f"name: lab{number}").replace("seeds: 2", f"seeds: {RUNS // SWEEPS // CELLS}")
    text = text.replace("  outer_steps: 4\n", f"  outer_steps: {CURVE}\n  outer_lr: {0.001 * (number + 1)}\n")
    (here / "lab.yaml").write_text(text)
    results = Results.at(here / "results")
    for order, spec in enumerate(expand(load(here / "lab.yaml"))):
        journal = begin(results, spec, sweep=f"lab{number}")
        value = (number + 1) / (order + 2)
        curve = [(step, "training", {"query_loss": value / step, "query_accuracy": value}) for step in range(1, CURVE)]
        steps = range(CURVE // EVALUATIONS, CURVE + 1, CURVE // EVALUATIONS)
        scores = [*[0.2] * spec.config.inner_steps, value]
        heads = {"trained": scores, "zeroed": scores}
        evaluation = {"split": "test", "episodes": 3, "accuracy": heads, "sd": heads}
        journal.add(1, [*curve, *((step, "evaluation", evaluation) for step in steps)])
        journal.end(1, "done", step=CURVE)
    return here


@pytest.mark.parametrize("store", [STORE])
def test_sweeps_at_once_lose_no_metric_and_leave_nothing_twice(backend, tmp_path, store):
    labs = [written(tmp_path, number) for number in range(SWEEPS)]
    with mlflow_server(backend, tmp_path) as uri:
        begun = time.perf_counter()
        pushing = [start(["sync", "lab.yaml", "--tracking-uri", uri], lab) for lab in labs]
        told = [process.communicate(timeout=HANG_S)[1] for process in pushing]
        took_s = time.perf_counter() - begun
    assert [process.returncode for process in pushing] == [0] * SWEEPS, told
    records = {path.parent.name: fold(path) for path in tmp_path.glob("lab*/results/trials/*/journal.jsonl")}
    assert len(records) == RUNS
    shown = rows(backend, "SELECT run_uuid, value FROM tags WHERE key = 'trial_id'")
    assert Counter(trial for _, trial in shown) == dict.fromkeys(records, 1)
    assert rows(backend, "SELECT count(*) FROM tags WHERE key = 'sweeper.kind' AND value = 'cell'") == [
        (SWEEPS * CELLS,)
    ]
    assert rows(backend, "SELECT count(*) FROM runs") == [(RUNS + SWEEPS * (CELLS + 1),)]  # and one for each sweep
    assert rows(backend, "SELECT count(*) FROM runs WHERE status <> 'FINISHED'") == [(0,)]
    trial_of, stored, wanted = dict(shown), defaultdict(list), {}
    for run, key, step, value, time_ms in rows(backend, "SELECT run_uuid, key, step, value, timestamp FROM metrics"):
        if run in trial_of:
            stored[trial_of[run]].append((key, step, value, time_ms))
    for trial, record in records.items():
        wanted[trial] = sorted(
            (point.key, point.step, point.value, point.time_ms)
            for point in [*points(record, all_of_them=False), *endpoint_of(record)]
        )
        assert sorted(stored[trial]) == wanted[trial], trial
    count = sum(map(len, wanted.values()))
    assert count >= RUNS * (CURVE + EVALUATIONS)
    print(f"\n{RUNS} runs, {count} points into {store} in {took_s:.0f} s: {count / took_s:.0f} points/s")
