"""What a person sees of a run: it fits the terminal, counts right, and a pipe gets plain lines."""

import errno
import io
import os
import time
from contextlib import suppress

import pytest
from rich.console import Console

from sweeper.cli.terminal.progress import MARGIN, Watcher, fitted
from sweeper.dealing.dealer import Dealer, Worker
from sweeper.dealing.source import Progress
from sweeper.planning.expand import expand
from sweeper.sweepfile.sweep import load
from tests.sweeper.plugged import ENDLESS, write_toys
from tests.waiting import wait_until


@pytest.fixture
def dealer(specs, results):
    data = {"strokes": {"name": "strokes", "path": "/nowhere.npy", "digest": "0"}}
    worker = Worker(device="cpu", threads=1, pack=1, data=data, timeout_s=60.0)
    sweeps = {spec.trial_id: "tiny" for spec in specs}
    made = Dealer(
        specs,
        sweeps=sweeps,
        engines=dict.fromkeys(sweeps, "loop"),
        results=results,
        worker=worker,
        note=lambda trial_id: None,
    )
    done, running, *_ = made.trials.values()
    done.phase, done.step = "done", done.spec.target
    running.phase, running.step, running.accuracy, running.started_s = "running", 2, 0.613, time.monotonic() - 4
    return made


@pytest.mark.parametrize("width", [30, 80, 200])
def test_the_live_view_has_the_sweep_and_each_running_trial_on_one_line_that_fits(dealer, width):
    watcher, out = Watcher(io.StringIO()), io.StringIO()
    running = list(dealer.trials.values())[1]
    for second, running.step in enumerate([1, 2, 3, 4, 2]):  # a pace of one outer step a second
        watcher._pace.note(float(second), dealer.trials.values())
    watcher._console = Console(file=out, width=width, force_terminal=True, no_color=True)
    watcher._console.print(watcher._view(dealer, None))
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert all(len(line) <= width - MARGIN for line in lines)
    assert lines[1].rstrip().endswith("s1")
    assert "1/4 trials" in lines[0]
    assert "2/4 · " in lines[1]
    if width == 200:
        assert "61.3 %" in lines[1] and "strokes · inner_steps 1 · s1" in lines[1]
        assert " steps/s" in lines[0] and "left" in lines[0]


def test_a_search_has_a_line_with_its_proposals_and_its_rungs(dealer, monkeypatch):
    told = [Progress(24, 13, "13/24 proposed · 13 at 30, 5 at 90, 1 at 270 · omniglot · s0")]
    monkeypatch.setattr(Dealer, "progress", told)
    watcher, out = Watcher(io.StringIO()), io.StringIO()
    watcher._console = Console(file=out, width=120, force_terminal=True, no_color=True)
    watcher._console.print(watcher._view(dealer, None))
    assert "13/24 proposed · 13 at 30, 5 at 90, 1 at 270 · omniglot · s0" in out.getvalue().splitlines()[1]


def test_before_the_first_trial_trains_the_view_says_what_it_waits_for(dealer):
    for trial in dealer.trials.values():
        trial.phase = "waiting"
    watcher = Watcher(io.StringIO())
    trials = list(dealer.trials.values())
    assert watcher._sentence(trials) == "0/4 trials · the workers are starting"
    trials[0].phase = "running"
    assert watcher._sentence(trials) == "0/4 trials (1 running) · no estimate yet"


def test_a_terminal_gets_lines_that_break_between_words_and_a_pipe_gets_them_whole(dealer):
    told = "53a49b819796de10 done at step 60: strokes · inner_steps 1 · zeroing every step · s0 · test accuracy 65.6 %"
    for live in (True, False):
        watcher, out = Watcher(io.StringIO()), io.StringIO()
        watcher._live = live
        watcher._console = Console(file=out, width=80, force_terminal=live, no_color=True)
        watcher._line(told)
        lines = [line.rstrip() for line in out.getvalue().splitlines()]
        assert lines == ([told[:80], told[81:]] if live else [told])


def test_trials_without_a_length_are_counted_and_have_no_last_step(results, tmp_path):
    specs = expand(load(write_toys(tmp_path, ENDLESS)))
    ids = [spec.trial_id for spec in specs]
    worker = Worker(device="cpu", threads=1, pack=1, data={}, timeout_s=60.0)
    dealer = Dealer(
        specs, sweeps=dict.fromkeys(ids, "toys"), engines=dict.fromkeys(ids, "python"), results=results, worker=worker,
        note=lambda trial_id: None,
    )  # fmt: skip
    done, running, *_ = dealer.trials.values()
    done.phase, done.step = "done", 7
    running.phase, running.step, running.accuracy = "running", 2, 0.25
    watcher, out = Watcher(io.StringIO()), io.StringIO()
    watcher._console = Console(file=out, width=120, force_terminal=True, no_color=True)
    watcher._console.print(watcher._view(dealer, None))
    first, second = out.getvalue().splitlines()
    assert "1/4 trials (1 running)" in first and "left" not in first
    whole, of_trial = watcher._view(dealer, None).renderable.renderables[0].columns[0].cells
    assert (whole.total, whole.completed, of_trial.total) == (4, 1, None)
    assert "step 2 · " in second and "0.25" in second and second.rstrip().endswith("s1")


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (99, "strokes · inner_steps 3 · zeroing every step · s1"),
        (45, "… · inner_steps 3 · zeroing every step · s1"),
        (30, "… · zeroing every step · s1"),
        (8, "… · s1"),
        (2, "s1"),
    ],
)
def test_a_name_that_is_too_long_keeps_its_end_with_the_seed(width, shown):
    assert fitted("strokes · inner_steps 3 · zeroing every step · s1", width) == shown


def test_a_second_ctrl_c_wipes_the_live_view_and_shows_the_cursor_again(dealer, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    ours, terminal = os.openpty()
    with os.fdopen(terminal, "w") as stream:
        watcher = Watcher(stream)
        watcher.wipe()
        with watcher.watching(dealer, None):
            wait_until(lambda: watcher._shown, "the view")
            watcher.wipe()
    assert b"\r\x1b[1A\x1b[J\x1b[?25h" in shown_by(ours)


def shown_by(terminal: int) -> bytes:
    """Return all that a closed terminal was sent: a single read may return the part that the kernel has passed on."""
    shown = b""
    with suppress(OSError), os.fdopen(terminal, "rb", buffering=0) as stream:  # EIO: nothing is left
        while part := stream.read(100_000):
            shown += part
    return shown


def test_a_pipe_gets_plain_lines_without_escape_codes(dealer, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    out = io.StringIO()
    watcher = Watcher(out)
    with watcher.watching(dealer, None):
        dealer.next_assignment()
    assert " running to 4: strokes" in out.getvalue()
    assert "\x1b" not in out.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("live", [True, False])
def test_a_terminal_that_hangs_up_silences_the_view_and_ends_no_thread(dealer, monkeypatch, live):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("threading.excepthook", lambda broken: broken_threads.append(broken.exc_value))
    broken_threads, written = [], []

    class HungUp(io.StringIO):
        def write(self, text):
            written.append(text)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        def isatty(self):
            return live

    with Watcher(HungUp()).watching(dealer, None):
        dealer.changes.put("one sentence")
        wait_until(lambda: written and dealer.changes.empty(), "the view to write")
        dealer.changes.put("and another")
        wait_until(dealer.changes.empty, "the view to go on")
    assert broken_threads == []
