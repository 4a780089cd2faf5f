"""A folder of raw data: its records, and the files that say which sweep and which trials it is about.

`analysis.raw_data` owns the form of the records.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.contract.record import dataset_of
from sweeper.errors import SweepError
from sweeper.planning.expand import expand
from sweeper.planning.searched import searches_of
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.known_datasets import described_in
from sweeper.results.known_trainers import described, known_in, let_recall
from sweeper.search.state import FoldError, Line, State, folded
from sweeper.search.trials import States
from sweeper.sweepfile.sweep import Sweep
from sweeper.sweepfile.sweep import load as load_sweep
from sweeper.sweepfile.tries import given_to, tried
from trainers.data.added import shelf
from trainers.data.added.description import as_json
from trainers.trainer import DEFAULT, Reference, Trainer

if TYPE_CHECKING:
    from analysis.store import Loaded

SWEEP, QUESTION = "sweep.yaml", "question.json"
"""The sweep file, and the profile, the selectors and the values of `--set` that choose its trials."""
TRAINERS = "trainer*.json"
"""The descriptions of its trainers but MAML: trainer.json, trainer_2.json and so on."""
SEARCHES = "searches.jsonl.gz"
"""The journals of its searches: each line with the id of its search, in the order in which they were written."""
DATASET = "dataset-"
"""How the names of files begin that describe data sets which are not built in."""


def question_files(sweep: Sweep, profile: str | None, only: Sequence[str]) -> dict[str, bytes]:
    """Return the files that make a report of raw data without the sweep's own file."""
    asked: dict[str, Any] = {"profile": profile, "only": list(only)}
    asked |= {"set": given_to(sweep)} if sweep.tried else {}
    plugs = [found for found in sweep.trainers.every if found.trainer.name != DEFAULT]
    own = {
        f"trainer{f'_{number}' if number > 1 else ''}.json": described(trainer, [reference.says])
        for number, (reference, trainer) in enumerate(plugs, 1)
    }
    used = {spec.trainer.dataset(spec.cell_config) for spec in _examples(sweep, profile)}
    known = {name: shelf.described(name) for name in sorted(used)}
    own |= {f"{DATASET}{name}.json": as_json(found) for name, found in known.items() if found is not None}
    return {SWEEP: sweep.path.read_bytes(), QUESTION: (json.dumps(asked) + "\n").encode()} | own


def _examples(sweep: Sweep, profile: str | None) -> Iterable[TrialSpec]:
    if sweep.search is None:
        return expand(sweep, profile)
    return [spec for search in searches_of(sweep, profile) for spec in search.examples]


def journal_files(journals: Mapping[str, Iterable[Line]]) -> dict[str, bytes]:
    """Return the file of the journals of searches, by their ids; none for a grid. Equal lines give equal bytes."""
    if not journals:
        return {}
    lines = ({"search": search_id, **line} for search_id, of in journals.items() for line in of)
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    return {SEARCHES: gzip.compress(text.encode(), mtime=0)}


def journals(folder: Path) -> dict[str, list[Line]]:
    """Return the lines of each search's journal in the raw data in `folder`. Raises SweepError."""
    path = folder / SEARCHES
    try:
        found: dict[str, list[Line]] = {}
        for text in gzip.decompress(path.read_bytes()).decode().splitlines():
            line = json.loads(text)
            found.setdefault(line.pop("search"), []).append(line)
        return found
    except (OSError, EOFError, zlib.error, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SweepError(
            f"{path} can't be read ({error}), and the sweep is searched; get a whole copy of it, or write the raw data "
            "again with `sweeper report FILE --format data`"
        ) from None


def states(folder: Path) -> States:
    """Return what the journals of searches in `folder` say. Raises SweepError, then and when it is asked."""
    lines = journals(folder)

    def state(search_id: str) -> State:
        try:
            return folded(lines.get(search_id, ()))
        except (FoldError, LookupError, TypeError, ValueError) as error:
            raise SweepError(f"{folder / SEARCHES}: search {search_id} {error}; get a whole copy of it") from None

    return state


def own_sweep(folder: Path) -> Sweep:
    """Return the sweep of the raw data in `folder`. Runs no code that it names: its description is in the folder.

    Raises SweepError.
    """

    def described_there(reference: Reference) -> Trainer | None:
        for path in sorted(folder.glob(TRAINERS)):
            known = known_in(path.read_bytes(), path)
            if reference.says in known.says:
                attempts = partial(_attempts_in, folder, known.trainer.name)
                let_recall(known.trainer, attempts, partial(_facts_of_searches, folder))
                return known.trainer
        return None

    for path in sorted(folder.glob(f"{DATASET}*.json")):
        shelf.also_known(described_in(path.read_bytes(), path))
    return tried(load_sweep(folder / SWEEP, described_there, trusted=False), _settings(folder))


def _settings(folder: Path) -> list[str]:
    """Return what `--set` had said of the raw data in `folder`; `question` says what is wrong with the file."""
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
        return [str(text) for text in json.loads((folder / QUESTION).read_text(encoding="utf-8")).get("set", [])]
    return []


def question(folder: Path) -> tuple[str | None, list[str]]:
    """Return the profile and the selectors of the raw data in `folder`. Raises SweepError."""
    try:
        asked = json.loads((folder / QUESTION).read_text(encoding="utf-8"))
        return asked["profile"], asked["only"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SweepError(
            f"{folder / QUESTION} can't be read ({error}); name the sweep FILE, or write the raw data again with "
            "`sweeper report FILE --format data`"
        ) from None


def read(folder: Path) -> "Loaded":
    """Return the records in `folder`. Raises SweepError."""
    from analysis.errors import AnalysisError
    from analysis.raw_data import load

    try:
        return load(folder)
    except AnalysisError as error:
        raise SweepError(str(error)) from None


def _attempts_in(folder: Path, trainer: str) -> Iterator[dict[str, Any]]:
    """Yield the last attempt of each trial of `trainer` in `folder`, with its id and config."""
    for record in read(folder).records.values():
        if record.get("trainer") == trainer:
            yield {**record["attempts"][-1], "trial_id": record["trial_id"], "config": record["config"]}


def _facts_of_searches(folder: Path) -> Iterator[Mapping[str, Any]]:
    if (folder / SEARCHES).exists():
        yield from (lines[0]["facts"] for lines in journals(folder).values() if lines and "facts" in lines[0])


def digests(loaded: "Loaded") -> dict[str, str]:
    """Return the digest of each data set that the trials were trained with."""
    found = {dataset_of(record): record["attempts"][-1]["digest"] for record in loaded.records.values()}
    return {name: digest for name, digest in found.items() if name}
