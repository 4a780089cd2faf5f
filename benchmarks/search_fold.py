"""How long a command takes to know a long search: its journal is folded, and its trials are planned.

    python -m benchmarks.search_fold [--proposals N]

Writes the journal of a random search of trials that do no work, each proposal asked and heard, and times what every
later command pays for it. Trains nothing. Prints one JSON line.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.bench_search import NOTHING, SWEEP
from sweeper.planning.searched import Search, searches_of
from sweeper.results.paths import Results
from sweeper.search.journal import SearchJournal, read_state
from sweeper.search.propose import proposed
from sweeper.search.trials import planned
from sweeper.sweepfile.sweep import load


def write(search: Search, results: Results, proposals: int) -> None:
    """Write the journal of a search that has asked for and heard each of its proposals at the first rung."""
    journal = SearchJournal(results.search(search.search_id))
    journal.begin(search.facts)
    for n in range(proposals):
        params = dict(proposed(search, journal.state, n, len(journal.state.history)))
        trial = search.trial(params, 0).trial_id
        asked = {"kind": "asked", "n": n, "params": params, "pending": [], "trial": trial}
        heard = len(journal.state.history)
        if (twin := journal.state.by_trial.get(trial)) is not None:  # the same number to six digits
            journal.append(asked | {"duplicate": twin, "heard": heard})
            continue
        journal.append(asked | {"heard": heard})
        value = abs(float(params["x"]) - 0.3)
        journal.append({"kind": "heard", "n": n, "rung": 0, "step": 1, "value": value, "end": "done"})


def seconds(work: Callable[[], object]) -> dict[str, float]:
    """Return the wall and processor seconds of `work`."""
    wall, cpu = time.monotonic(), time.process_time()
    work()
    return {"wall_s": round(time.monotonic() - wall, 2), "cpu_s": round(time.process_time() - cpu, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--proposals", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "nothing.py").write_text(NOTHING, encoding="utf-8")
        file = folder / "no_work.yaml"
        file.write_text(SWEEP.format(proposals=options.proposals).replace("tpe", "random"), encoding="utf-8")
        sweep, results = load(file), Results.at(folder / "results")
        search = searches_of(sweep)[0]
        write(search, results, options.proposals)
        folded = seconds(lambda: read_state(results.search(search.search_id)))
        whole = seconds(lambda: planned(sweep, None, results, {}))
        assert len(read_state(results.search(search.search_id)).proposals) == options.proposals
    print(json.dumps({"proposals": options.proposals, "folded": folded, "folded_and_planned": whole}))


if __name__ == "__main__":
    main()
