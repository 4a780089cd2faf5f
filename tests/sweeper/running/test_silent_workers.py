"""Workers of Ray that give no word, frozen or hanging: they are given up, and the run ends with the same bits.

These tests wait for minutes, so they are in a file of slow tests alone, which begins early.
"""

import contextlib
import os
import re
import signal
import time

import pytest

from sweeper.dealing.silence import GRACE_S
from sweeper.planning.expand import expand
from sweeper.results.fold import fold
from sweeper.results.journal_lines import read_lines
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load
from tests.sweeper.command import start, sweeper
from tests.sweeper.running.test_run import final_bytes, measured
from tests.sweeper.tiny import TINY
from tests.waiting import HANG_S

pytestmark = pytest.mark.slow

TIMEOUT_S = 3600
"""No worker is silent for so long by itself, however busy the machine."""
PATCHED = """
import functools, sys
import sweeper.dealing.dealer, sweeper.running.session, sweeper.dealing.silence
{patches}
from sweeper.cli import main
main()
"""
"""`sweeper` with a driver that is not as it is; its workers are."""


def worker_of(results: Results, trial_id: str) -> int:
    return int(re.search(r"begun by process (\d+)", results.trial(trial_id).log(1).read_text())[1])


def start_run(folder, patches: str, *options: str):
    """Start a run on Ray of `folder`'s sweep without a store, its driver changed by `patches`."""
    words = ["run", "tiny.yaml", "--tracking-uri", "none", *options]
    return start(words, folder, program=PATCHED.format(patches=patches))


def interruptions(results: Results, trial_id: str) -> list[str]:
    lines = read_lines(results.trial(trial_id).journal)
    return [line["message"] for line in lines if line["kind"] == "interrupted"]


HURRIED = """
import os

class Hurried(sweeper.dealing.silence.Silence):
    given_up, ahead_s = False, 0.0

    def __init__(self, timeout_s, clock):
        super().__init__(timeout_s, lambda: clock() + self.ahead_s)

    def overdue(self):
        if os.path.exists("frozen") and not self.given_up:
            self.ahead_s += 600.0
        found = super().overdue()
        self.given_up = self.given_up or bool(found)
        return found

sweeper.dealing.silence.ATTENTIVE_S = float("inf")
sweeper.dealing.dealer.Silence = Hurried
"""
"""Ten minutes pass at each look at the silence, from when the file `frozen` is there until a worker is given up."""


def test_a_frozen_worker_is_given_up_and_the_run_ends_with_the_bits_of_an_undisturbed_one(tmp_path):
    """It wakes when its trial has been taken from it, and nothing comes of that."""
    path = tmp_path / "tiny.yaml"
    text = TINY.replace("outer_steps: 4", "outer_steps: 400").replace("eval_every: 2", "eval_every: 150")
    path.write_text(text.replace("seeds: 2", "seeds: 1"))
    results = Results.at(tmp_path / "results")
    specs = expand(load(path))
    frozen = specs[0].trial_id
    process = start_run(tmp_path, HURRIED, "--workers", "1", "--timeout", str(TIMEOUT_S))
    while not any(line["kind"] == "record" for line in read_lines(results.trial(frozen).journal)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    worker = worker_of(results, frozen)
    os.kill(worker, signal.SIGSTOP)
    (tmp_path / "frozen").touch()
    while not interruptions(results, frozen):
        time.sleep(0.1)
    with contextlib.suppress(ProcessLookupError):  # Ray kills it a few seconds after it was given up
        os.kill(worker, signal.SIGCONT)
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, err
    assert "2 planned: 2 done" in err
    (message,) = interruptions(results, frozen)
    assert int(re.fullmatch(r"no word for (\d+) s", message)[1]) >= TIMEOUT_S + GRACE_S
    attempts = [len(fold(results.trial(spec.trial_id).journal)["attempts"]) for spec in specs]
    assert attempts == [2, 1]
    (tmp_path / "undisturbed").mkdir()
    other = sweeper("run", path, "--executor", "inline", "--tracking-uri", "none", cwd=tmp_path / "undisturbed")
    assert other.code == 0, other.err
    undisturbed = Results.at(tmp_path / "undisturbed" / "results")
    assert measured(results) == measured(undisturbed)
    for spec in specs:
        assert final_bytes(results, spec.trial_id) == final_bytes(undisturbed, spec.trial_id)


def test_a_worker_that_gives_no_chunk_in_time_ends_itself_and_its_trial_fails_at_last(tmp_path):
    """Its chunks are made longer than the timeout; the driver waits much longer than both, and retries once."""
    (tmp_path / "tiny.yaml").write_text(
        TINY.replace("outer_steps: 4", "outer_steps: 30000").replace("seeds: 2", "seeds: 1").replace("[1, 2]", "[1]")
    )
    patches = """
sweeper.dealing.silence.GRACE_S = 1000.0
sweeper.dealing.dealer.LOST_RETRIES = 1
sweeper.running.session.Worker = functools.partial(sweeper.running.session.Worker, chunk_s=1000.0)
"""
    process = start_run(tmp_path, patches, "--workers", "1", "--timeout", "4")
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 3, err
    results = Results.at(tmp_path / "results")
    (spec,) = expand(load(tmp_path / "tiny.yaml"))
    record = fold(results.trial(spec.trial_id).journal)
    assert (record["status"], len(record["attempts"])) == ("failed", 2)
    assert int(re.fullmatch(r"no word for (\d+) s; its worker was lost 2 times", record["message"])[1]) >= 4
    for attempt in (1, 2):
        text = results.trial(spec.trial_id).log(attempt).read_text()
        assert "Timeout (0:00:04)!\n" in text and "(most recent call first):\n" in text
        # The dump reads the frames of a thread that runs, so it may be torn; on a busy machine that one still imports
        torn = not text.endswith("\n")
        assert torn or re.search(r"/(sweeper|trainers)/\S+\.py\", line|importlib|/numba/", text)
    assert f"{spec.trial_id}/a2/trial.log" in err
