"""The progress of a run: a live view on a terminal, plain lines elsewhere. Changes nothing in the run."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from analysis.contract.lifecycle import Phase
from sweeper.cli.terminal.pace import Pace, in_words
from sweeper.cli.terminal.printing import printable
from sweeper.dealing.dealer import Change, Dealer, Dealt
from sweeper.host.streams import silence
from sweeper.results.trial_summary import in_one_line
from sweeper.tracking.syncer import Views

HEARTBEAT_S = 60.0
ENDED: tuple[Phase, ...] = ("done", "diverged", "failed", "interrupted", "skipped")
SHOWN: tuple[Phase, ...] = ("running", *ENDED)
MARGIN = 3
"""Columns at the right that stay free, so that the ^C which a terminal shows starts no line that nobody wipes."""


class _Unread(Console):
    """A console that is silent once it can't be written: its reader is gone, its terminal hung up, its disk is full.

    The default of rich ends the program when a reader is gone, and the thread of the view after other errors.
    """

    def _check_buffer(self) -> None:
        try:
            super()._check_buffer()
        except OSError:
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        self.quiet = True
        silence(self.file)


class Watcher:
    """Shows one run's progress on `stream`, the real stderr, from a thread of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._live = stream.isatty() and "CI" not in os.environ and os.environ.get("TERM") != "dumb"
        self._console = _Unread(file=stream, force_interactive=self._live, force_terminal=None if self._live else False)
        self._stream = stream
        self._pace = Pace()
        self._shown: RenderableType = ""

    def wipe(self) -> None:
        """Remove the live view from the terminal at once, for a process that ends without unwinding."""
        if self._live and self._shown:
            rows = min(len(self._console.render_lines(self._shown, pad=False)), self._console.height)
            up = f"\x1b[{rows - 1}A" if rows > 1 else ""
            with suppress(OSError):
                os.write(self._stream.fileno(), f"\r{up}\x1b[J\x1b[?25h".encode())

    @contextmanager
    def watching(self, dealer: Dealer, syncer: Views | None) -> Iterator[None]:
        """Show the run while the block lasts."""
        over = threading.Event()
        target = self._show_live if self._live else self._print_lines
        thread = threading.Thread(target=target, args=(dealer, syncer, over), name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _show_live(self, dealer: Dealer, syncer: Views | None, over: threading.Event) -> None:
        with Live(console=self._console, refresh_per_second=4, transient=True) as live:
            while not over.wait(0.25):
                self._print_changes(dealer, ENDED)
                self._pace.note(time.monotonic(), list(dealer.trials.values()))
                self._shown = self._view(dealer, syncer)
                live.update(self._shown)
            self._print_changes(dealer, ENDED)
        self._shown = ""

    def _view(self, dealer: Dealer, syncer: Views | None) -> RenderableType:
        trials = list(dealer.trials.values())
        width = self._console.width - MARGIN
        bar_width = min(20, width // 6)
        table = Table.grid(padding=(0, 1))
        table.add_column(min_width=bar_width)
        table.add_column(no_wrap=True, overflow="ellipsis")

        def add(total: int, made: int, text: str) -> None:
            bar = ProgressBar(total=total or None, completed=made, width=bar_width)  # one without a total has no end
            table.add_row(bar, Text(text))

        ended = sum(trial.phase in ENDED for trial in trials)
        made = sum(trial.spec.target if trial.phase in ENDED else trial.step for trial in trials)
        if all(trial.spec.target for trial in trials):
            add(sum(trial.spec.target for trial in trials), made, self._sentence(trials))
        else:  # the steps of a trial without a length are not known
            add(len(trials), ended, self._sentence(trials))
        for total, proposed, words in dealer.progress:
            add(total, proposed, fitted(words, width - bar_width - 1))
        for trial in trials:
            if trial.phase == "running":
                text = f"{_step(trial)} · {self._rate(trial)}{_number(trial)} · "
                name = fitted(trial.spec.name(), width - bar_width - 1 - cell_len(text))
                add(trial.spec.target, trial.step, text + name)
        parts: list[RenderableType] = [table]
        if syncer and syncer.problem:
            parts.append(Text(syncer.problem, style="yellow"))
        return Constrain(Group(*parts), width)

    def _print_lines(self, dealer: Dealer, syncer: Views | None, over: threading.Event) -> None:
        problem, beat_s = None, time.monotonic()
        while not over.wait(0.25):
            self._print_changes(dealer, SHOWN)
            self._pace.note(time.monotonic(), list(dealer.trials.values()))
            if syncer and syncer.problem != problem:
                problem = syncer.problem
                self._line(problem or "the tracking store answers again")
            if time.monotonic() - beat_s > HEARTBEAT_S:
                beat_s = time.monotonic()
                self._line(self._sentence(list(dealer.trials.values())))
                for each in dealer.progress:
                    self._line(each.words)
        self._print_changes(dealer, SHOWN)

    def _print_changes(self, dealer: Dealer, phases: tuple[Phase, ...]) -> None:
        """Print the messages, and the changes to one of `phases`, that came since the last call."""
        while not dealer.changes.empty():
            change = dealer.changes.get()
            if isinstance(change, str):
                self._line(change)
            elif change.phase in phases:
                self._line(_change_line(change))

    def _line(self, text: str) -> None:
        self._console.print(printable(text), highlight=False, markup=False, soft_wrap=not self._live)

    def _sentence(self, trials: list[Dealt]) -> str:
        by_phase = Counter(trial.phase for trial in trials)
        ended = sum(by_phase[phase] for phase in ENDED)
        counts = ", ".join(f"{count} {phase}" for phase, count in by_phase.items() if phase not in ("waiting", "done"))
        return f"{ended}/{len(trials)} trials{f' ({counts})' if counts else ''} · {self._remaining(trials)}"

    def _remaining(self, trials: list[Dealt]) -> str:
        """Return the time left and the speed, from this run's steps."""
        left = self._pace.left(trials)
        rates = [rate for trial in trials if trial.phase == "running" and (rate := self._pace.rate(trial)) is not None]
        if left is None:
            begun = any(trial.phase in SHOWN for trial in trials)
            return "no estimate yet" if begun or not trials else "the workers are starting"
        return f"{in_words(left)} left{f' · {sum(rates):.2f} steps/s' if rates else ''}"

    def _rate(self, trial: Dealt) -> str:
        rate = self._pace.rate(trial)
        return "starting" if rate is None else f"{rate:.2f}/s"


def fitted(name: str, width: int) -> str:
    """Return the name of a trial in `width` columns, if its last part fits: its end, with the seed, tells trials apart.

    Parts at the front make way.
    """
    parts = name.split(" · ")
    while len(parts) > 1 and cell_len(name) > width:
        parts = parts[1:]
        name = " · ".join(["…", *parts])
    return name if cell_len(name) <= width else parts[-1]


def _step(trial: Dealt) -> str:
    """Return the step that a trial has reached, of how many; a trial without a length has no last one."""
    return f"{trial.step}/{trial.spec.target}" if trial.spec.target else f"step {trial.step}"


def _number(trial: Dealt) -> str:
    if trial.accuracy is None:
        return ""
    unit = next(iter(trial.spec.trainer.metrics.values())).unit
    return f" · {100 * trial.accuracy:.1f} %" if unit == "%" else f" · {trial.accuracy:.4g}"


def _change_line(change: Change) -> str:
    spec = change.spec
    if change.phase == "running":
        begins = f"from step {change.step} " if change.step else ""
        end = f"to {spec.target}" if spec.target else "to its end"
        return f"{spec.trial_id} running {begins}{end}: {spec.name()}"
    outcome = ""
    if change.message:
        outcome = f" · {in_one_line(change.message)}"
    elif change.phase == "done" and change.accuracy is not None:
        outcome = f" · {spec.trainer.outcome(spec.cell_config, change.accuracy)}"
    return f"{spec.trial_id} {change.phase} at step {change.step}: {spec.name()}{outcome}"
