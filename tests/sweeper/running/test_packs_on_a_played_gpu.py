"""A run of packs with the graph engine on a GPU that is played: out of memory, a killed worker, and its ends."""

import json

import pytest

from sweeper.planning.expand import expand
from sweeper.results.fold import fold
from sweeper.results.journal_lines import read_lines
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load
from sweeper.worker import work as work_module
from tests.sweeper.driven_run import DrivenRun
from tests.trainers.played_gpu import played_gpu
from trainers.data.datasets import prepare


def records(specs, results):
    """Return what the journals hold of each trial: (step, key, value), without attempts and times."""
    return {
        spec.trial_id: sorted(
            (line["step"], line["key"], json.dumps(line["value"]))
            for line in read_lines(results.trial(spec.trial_id).journal)
            if line["kind"] == "record"
        )
        for spec in specs
    }


@pytest.mark.slow
def test_a_pack_that_needs_too_much_memory_is_halved_and_goes_on_as_packs_after_a_kill(
    write_sweep, results, tmp_path, monkeypatch
):
    """Two trials fit and four don't. The results are those of packs of two on the eager engine."""
    specs = expand(load(write_sweep("seeds: 4", "  inner_steps: [1]", "  meta_batch_size: 1")))
    strokes, undisturbed = prepare("strokes", tmp_path / "data"), Results.at(tmp_path / "undisturbed")
    monkeypatch.setattr(work_module, "CHECKPOINT_EVERY_S", -1.0)
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    with played_gpu(monkeypatch) as large:
        eager = DrivenRun(specs, undisturbed, strokes, pack=2, engine="vmap", device="cuda")
        eager.finish()
        assert eager.sizes == [2, 2]
        peaks = []
        for size in (2, 4):
            large.peak_bytes = large.used_bytes
            DrivenRun(
                specs, Results.at(tmp_path / f"of {size}"), strokes, pack=size, engine="graph", device="cuda"
            ).train(3)
            peaks.append(large.peak_bytes)
    with played_gpu(monkeypatch, total_bytes=sum(peaks) // 2) as gpu:
        before = gpu.used_bytes
        run = DrivenRun(specs, results, strokes, pack=4, engine="graph", device="cuda")
        run.train()
        assert {trial.phase for trial in run.dealer.trials.values()} == {"waiting"}
        assert gpu.used_bytes == before
        assert len(gpu.graphs) == 0
        run.train(2)
        run.finish()
        assert gpu.used_bytes == before
    assert run.sizes == [4, 2, 2, 2]
    assert gpu.calls.count("graph made") == gpu.calls.count("captured") == gpu.calls.count("share 1") == 4
    assert records(specs, results) == records(specs, undisturbed)
    assert {fold(results.trial(spec.trial_id).journal)["status"] for spec in specs} == {"done"}
