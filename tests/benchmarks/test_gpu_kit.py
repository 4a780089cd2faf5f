"""The kit for a GPU machine runs without one, gives each stage its time, and names winners only from sound rows."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.predicted import CARDS, Assumed, Counting, Step, times_s
from benchmarks.gpu.stages import PART_BYTES, Call, Stage, split
from benchmarks.gpu.winners import source, table, winners
from tests.places import ROOT
from trainers.maml.engines import gpu_table
from trainers.maml.engines.table import fastest


def row(**changes):
    return {
        "protocol": "omniglot", "network": "conv4_strided", "order": "first", "engine": "vmap", "arithmetic": "full",
        "runs": 1, "device": "cuda", "plain_ms": 100.0, "plain_error": 1e-3, "ms": 50.0, "range_ms": [49.0, 51.0],
        "first_step_s": 2.0, "times_plain": 2.0, "error": 1e-3, "peak_bytes": 2**30,
    } | changes  # fmt: skip


FIRST = ("conv4_strided", "first")


def test_the_winner_ends_most_steps_in_its_best_pack():
    rows = [row(), row(engine="graph", ms=20.0), row(engine="unfold", ms=40.0, runs=16), row(order="second")]
    best = winners(rows)
    assert {cell: found["engine"] for cell, found in best.items()} == {
        FIRST: "unfold", ("conv4_strided", "second"): "vmap",
    }  # fmt: skip


@pytest.mark.parametrize(
    "unsound",
    [
        {"device": "cpu"},
        {"failed": "out of memory"},
        {"arithmetic": "tf32"},
        {"engine": "inductor"},
        {"error": 2.1e-3},
        {"error": float("nan")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_unsound_row_wins_nothing(unsound):
    fast = row(engine="graph", ms=1.0) | unsound
    assert winners([row(), fast])[FIRST]["engine"] == "vmap"
    assert winners([fast]) == {}


def test_the_winners_become_the_file_that_chooses_the_engine(tiny_on_gpu, monkeypatch):
    text = source(winners([row(engine="graph"), row(order="second", engine="unfold")]))
    scope: dict = {}
    exec(text, scope)
    assert scope["GPU_ENGINES"] == {FIRST: "graph", ("conv4_strided", "second"): "unfold"}
    assert scope["__doc__"] == gpu_table.__doc__
    monkeypatch.setattr("trainers.maml.engines.table.GPU_ENGINES", scope["GPU_ENGINES"])
    assert [fastest(tiny_on_gpu(order=order), "cuda") for order in ("first", "second")] == ["graph", "unfold"]


@pytest.fixture
def tiny_on_gpu():
    from tests.trainers.small import tiny_config

    return tiny_config


def test_cells_without_a_winner_stay_as_they_are(monkeypatch):
    assert source({}) == Path(gpu_table.__file__).read_text(encoding="utf-8")
    pooled = ("conv4_pooled", "first")
    monkeypatch.setattr(gpu_table, "GPU_ENGINES", {FIRST: "vmap", pooled: "unfold"})
    scope: dict = {}
    exec(source(winners([row(engine="graph")])), scope)
    assert scope["GPU_ENGINES"] == {FIRST: "graph", pooled: "unfold"}
    monkeypatch.setattr(gpu_table, "GPU_ENGINES", {})
    assert source({}).endswith(" = {}\n")


def test_a_row_without_numbers_says_why_in_the_table():
    assert "| omniglot | first | vmap | full | 64 | out of memory |" in table([row(runs=64, failed="out of memory")])
    assert "| 50.00 (49.00 to 51.00) | 50.00 | 2.0 | 1.0e-03 | 1.0e-03 | 2.0 | 1,024 |" in table([row()])


def sleeping(seconds):
    return [sys.executable, "-c", f"import time; print('begun', flush=True); time.sleep({seconds})"]


@pytest.mark.slow
def test_a_stage_ends_at_its_limit_and_the_next_one_runs(tmp_path):
    call = Call(tmp_path, 1000, dict(os.environ))
    assert call.run(Stage("long", 6, sleeping(900))) == 124
    assert call.run(Stage("short", 60, sleeping(0))) == 0
    assert call.run(Stage("wrong", 60, [sys.executable, "-c", "raise SystemExit(3)"])) == 3
    assert [line.split(",")[0] for line in (tmp_path / "stages.txt").read_text().splitlines()] == [
        "long: status 124", "short: status 0", "wrong: status 3",
    ]  # fmt: skip
    assert (tmp_path / "long.log").read_text() == "begun\n"


def test_a_stage_without_time_is_named_and_not_begun(tmp_path):
    assert Call(tmp_path, 4, dict(os.environ)).run(Stage("late", 60, ["/nowhere"])) == 124
    assert (tmp_path / "stages.txt").read_text() == "late: no time left\n"


def test_the_parts_of_a_large_archive_make_it_whole_again(tmp_path):
    archive = tmp_path / "a.zip"
    whole = os.urandom(PART_BYTES + 5)
    archive.write_bytes(whole)
    split(archive)
    assert [part.name for part in sorted(tmp_path.iterdir())] == ["a.zip.aa", "a.zip.ab"]
    assert b"".join(part.read_bytes() for part in sorted(tmp_path.iterdir())) == whole


@pytest.mark.slow
def test_every_stage_runs_on_a_cpu(tmp_path):
    own = {"OUT": str(tmp_path), "DEVICE": "cpu", "LIMIT": "1100", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    ended = subprocess.run(
        ["bash", "benchmarks/gpu/on_gpu.sh", "quick"], cwd=ROOT, env={**os.environ, **own, "PATH": _path()},
        capture_output=True, text=True,
    )  # fmt: skip
    lines = (tmp_path / "stages.txt").read_text().splitlines()
    logs = {path.name: path.read_text()[-2000:] for path in tmp_path.glob("*.log")}
    assert ended.returncode == 0, (ended.stdout, ended.stderr, logs)
    assert [line.split(",")[0] for line in lines] == [
        f"{name}: status 0"
        for name in ("versions", "tests", "candidates", "candidates-2", "winners", "sweep", "status", "export")
    ]
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert not any("failed" in row for row in rows)
    assert {row["engine"] for row in rows} == {"vmap", "graph", "unfold", "inductor"}
    assert all(row["error"] < 10 * row["plain_error"] for row in rows)
    assert (tmp_path / "gpu_table.py").read_text() == source({})
    assert (tmp_path / "omniglot_basic.zip").is_file()


def _path() -> str:
    """Return a PATH whose python3 is the one that runs the tests."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def test_a_step_takes_the_longest_of_its_bounds():
    step = Step(kernels=1000, bytes=3.35e9, operations=67e9)
    sure = Assumed(host_s=1e-5, start_s=1e-6, of_bandwidth=0.5, of_arithmetic=0.25)
    times = times_s(step, CARDS["H100"], sure, runs=2, tf32=False)
    assert times == pytest.approx({"host": 0.01, "start": 0.001, "memory": 0.004, "arithmetic": 0.008})
    assert times_s(step, CARDS["H100"], sure, runs=2, tf32=True)["arithmetic"] == pytest.approx(0.008 * 67 / 494)


@pytest.mark.slow
def test_kernels_and_bytes_are_those_of_what_is_computed():
    a, table = torch.ones(10, 10), torch.ones(1000, 10)
    with Counting() as count:
        (a @ a).t()  # one product, and a view of it
        table[torch.tensor([3, 4])]  # reads two rows and their numbers, not the table
    assert (count.kernels, count.bytes) == (2, 3 * 400 + 80 + 16)
