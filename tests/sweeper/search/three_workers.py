"""A program: one run of a search with three workers, which take turns at random. It may kill itself at a given moment.

    python -m tests.sweeper.search.three_workers FILE RESULTS SEED MOMENT COUNT

Dealer, journals, checkpoints and training are real; only the workers live in this process. MOMENT is `done` (between a
trial's end and the line that hears it), `heard` (between that line and the next proposal), `asked` (between a proposal
and its trial), or `never`; the process ends by SIGKILL the COUNT-th time that it comes there.
"""

import dataclasses
import os
import random
import signal
import sys
import time
from pathlib import Path

from sweeper.dealing.dealer import Dealer
from sweeper.planning.searched import searches_of
from sweeper.results.paths import Results
from sweeper.running.searches import SearchSource, _Open
from sweeper.search.searching import Searching
from sweeper.sweepfile.sweep import load
from sweeper.worker.work import Work
from tests.sweeper.search.hunt import WORKER

WORKERS = 3


class Moment:
    """Kills this process the `count`-th time that it comes to the moment `name`.

    For `any`, when another process kills this one, it waits at each moment: it may not be done before.
    """

    def __init__(self, name: str, count: int) -> None:
        self.name, self.left = name, count

    def come(self, name: str) -> None:
        time.sleep(0.2 if self.name == "any" else 0.0)
        self.left -= name == self.name
        if name == self.name and self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Mortal(Searching):
    """A search whose process may die between two of its lines."""

    moment: Moment

    def heard(self, trial_id, phase):
        self.moment.come("done")
        known = super().heard(trial_id, phase)
        self.moment.come("heard")
        return known

    def _send(self, number, rung, spec=None):
        self.moment.come("asked")
        super()._send(number, rung, spec)


def run(file: Path, results: Results, draws: random.Random, moment: Moment) -> None:
    sweep = load(file)
    opened = []
    for search in searches_of(sweep):
        searching = Mortal(search, results)
        searching.moment = moment
        searching.open()
        opened.append(_Open(type("Part", (), {"sweep": sweep}), searching))
    worker = dataclasses.replace(WORKER, chunk_s=0.0)
    source = SearchSource(opened, "cpu", None)
    dealer = Dealer([], sweeps={}, engines={}, results=results, worker=worker, note=lambda _: None, source=source)
    out: dict[int, Work] = {}
    while not dealer.over:
        while len(out) < WORKERS and (assignment := dealer.next_assignment()) is not None:
            out[assignment["pack"]] = Work(assignment)
        for pack in draws.sample(sorted(out), min(len(out), 1)):
            update = out[pack].step()
            dealer.receive(update)
            if update["over"]:
                dealer.ended(pack)
                del out[pack]
    assert dealer.fatal is None, dealer.fatal


def main() -> None:
    """Run the search as the words of the command line say: file, results, seed, moment, count."""
    file, folder, seed, name, count = sys.argv[1:]
    run(Path(file), Results.at(Path(folder)), random.Random(int(seed)), Moment(name, int(count)))


if __name__ == "__main__":
    main()
