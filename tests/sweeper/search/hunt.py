"""Searches for tests: the sweep file of one on a toy, and trials whose journals are written without training."""

from pathlib import Path

from sweeper.dealing.dealt_trial import Fixed, Worker, facts
from sweeper.planning.searched import searches_of
from sweeper.results.journal import Journal
from sweeper.results.paths import Results
from sweeper.search.journal import lines_of
from sweeper.search.searching import Searching
from sweeper.sweepfile.sweep import load
from tests.sweeper.plugged import TOY

HUNT = """\
version: 1
name: hunt
question: Which rate is best?
trainer: toy.py:TOY
fixed: {steps: 9}
seeds: 1
search:
  space: {rate: {uniform: [0.05, 0.95]}}
  sampler: random
  trials: 9
  metric: {name: loss}
  rungs: {first: 1, factor: 3, last: 9}
  confirm: {best: 2, seeds: 2}
"""
WORKER = Worker(device="cpu", threads=1, pack=1, data={}, timeout_s=60.0)


def write_hunt(folder: Path, *lines: str, code: str = TOY, more: str = "") -> Path:
    """Write the toy and its search into `folder`, with the line of the same key replaced by each given."""
    text = HUNT + more
    for line in lines:
        key = line.strip().partition(":")[0]
        old = next(found for found in HUNT.splitlines() if found.strip().startswith(f"{key}:"))
        text = text.replace(f"{old}\n", f"{line}\n" if line.strip() != f"{key}:" else "")
    folder.mkdir(exist_ok=True)
    (folder / "toy.py").write_text(code)
    path = folder / "hunt.yaml"
    path.write_text(text)
    return path


def search_in(path: Path, number: int = 0):
    return searches_of(load(path))[number]


def loss_of(spec) -> float:
    """Return the toy's loss at the end of `spec`, as the toy computes it."""
    config, x = spec.config, 1.0 + spec.seed
    for _ in range(spec.target):
        x -= config.rate * x
    return x


def train(results: Results, spec, end: str = "done") -> None:
    """Write the journal that training `spec` to its target would leave."""
    journal = Journal(results.trial(spec.trial_id).journal)
    journal.open_attempt(facts(spec, WORKER, "hunt", Fixed("python", 1), 1, "c" * 16))
    if end == "done":
        readings = {"loss": loss_of(spec), "error": min(loss_of(spec), 1.0)}
        journal.add(journal.attempts, [(spec.target, "readings", readings)])
    journal.end(journal.attempts, end, step=spec.target, message="" if end == "done" else f"{end}: it was so")


def lines(results: Results, search) -> list[dict]:
    """Return the lines of a search's journal without their times."""
    found = lines_of(results.search(search.search_id))
    return [{key: value for key, value in line.items() if key != "time_ms"} for line in found]


def finish(results: Results, search, end=lambda spec: "done") -> list:
    """Go on with a search by one worker to its end, and return the trials that it sent, in order."""
    searching, sent = Searching(search, results), []
    searching.open()
    try:
        while (spec := searching.next()) is not None:
            sent.append(spec)
            train(results, spec, end(spec))
            searching.heard(spec.trial_id, end(spec))
        assert searching.over
    finally:
        searching.close()
    return sent
