"""The descriptions of trainers in a results folder: what it takes to read their results without their code.

A description is written when a trial of the trainer first begins, with what `trainer:` said in the sweep file. MAML
needs none. Imports no code of a trainer.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from sweeper.results.journal_lines import JournalError, Line, read_lines
from sweeper.results.known_datasets import make_known
from sweeper.results.paths import Results, ResultsError
from sweeper.sweepfile.fields import SEED
from sweeper.sweepfile.sweep import Sweep, load
from sweeper.sweepfile.tries import tried
from trainers.described import DescribedTrainer, Recalled, describe, from_description
from trainers.registry import find
from trainers.sealed_file import write_whole
from trainers.trainer import DEFAULT, Reference, Trainer, TrainerError

_FORM = 1


class Known(NamedTuple):
    """A described trainer, which answers everything but how to train, and what sweep files have said to find it."""

    trainer: DescribedTrainer
    says: Sequence[str | Mapping[str, Any]]


def keep(results: Results, trainer: Trainer, reference: Reference) -> None:
    """Write the description of `trainer`, unless what is there says the same. Raises OSError, ResultsError."""
    if trainer.name == DEFAULT:
        return
    path = results.trainer(trainer.name)
    before = path.read_bytes() if path.exists() else None
    says = [reference.says]
    if before is not None:
        says += [one for one in known_in(before, path).says if one != reference.says]
    content = described(trainer, says)
    if content != before:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)


def described(trainer: Trainer, says: Sequence[str | Mapping[str, Any]]) -> bytes:
    """Return the description of a trainer as a file holds it; equal descriptions give equal bytes."""
    ordered = sorted(says, key=lambda one: json.dumps(one, sort_keys=True))
    content = {"form": _FORM, "says": ordered, "trainer": describe(trainer)}
    return json.dumps(content, indent=1, allow_nan=False).encode()


def known_in(content: bytes, path: Path) -> Known:
    """Return what `content`, the file at `path`, describes. Raises ResultsError."""
    try:
        found = json.loads(content)
        if found["form"] != _FORM:
            raise ValueError(f"it has form {found['form']!r:.20}; a newer sweeper may have written it")
        says = found["says"]
        if not isinstance(says, list) or not all(isinstance(one, str | dict) for one in says):
            raise ValueError("`says` is no list of texts and mappings")
        return Known(from_description(found["trainer"]), says)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, TrainerError) as error:
        raise ResultsError(
            f"{path}: is no description of a trainer ({error}); delete it, and the next run writes it again"
        ) from None


def known_trainer(results: Results, name: str) -> Trainer | None:
    """Return the trainer `name`: MAML itself, and any other as its description says; None if there is none.

    Raises ResultsError if the description is damaged.
    """
    if name == DEFAULT:
        return find(Reference(DEFAULT, ""))
    path = results.trainer(name)
    content = _content(path)
    return None if content is None else known_in(content, path).trainer


def trainer_that(results: Results, reference: Reference) -> Trainer | None:
    """Return the described trainer that sweep files have named as `reference` does; None if it isn't one alone.

    The folder of the sweep file is not compared, since results move. Raises ResultsError.
    """
    paths = sorted(results.trainers.glob("*.json")) if results.trainers.is_dir() else []
    contents = [(path, content) for path in paths if (content := _content(path)) is not None]
    known = [known_in(content, path) for path, content in contents]
    found = [each.trainer for each in known if reference.says in each.says]
    if len(found) != 1:
        return None
    let_recall(found[0], partial(_attempts, results, found[0].name), partial(_facts_of_searches, results))
    return found[0]


def let_recall(
    trainer: DescribedTrainer,
    attempts: Callable[[], Iterable[Mapping[str, Any]]],
    searches: Callable[[], Iterable[Mapping[str, Any]]],
) -> None:
    """Let a described trainer know the data and the recipe of each config that one of `attempts` has noted.

    `searches` are the facts of searches, which hold the data and the recipe, too. Both are asked for once, when
    they are needed. Of two for one config, the one with the higher recipe counts, as in a plan; no clock decides.
    """
    aside = {SEED, trainer.length}

    def key(values: Mapping[str, Any]) -> str:
        return json.dumps({name: value for name, value in values.items() if name not in aside}, sort_keys=True)

    @cache
    def noted() -> dict[str, Recalled]:
        return {
            key(line["config"]): Recalled(line["dataset"], line["digest"], line["recipe"])
            for line in sorted(attempts(), key=lambda line: (sum(line["recipe"].values()), line["trial_id"]))
        }

    def without_code(facts: Mapping[str, Any]) -> str:
        kept = {name: value for name, value in facts.items() if name not in ("digest", "recipe")}
        return json.dumps(kept, sort_keys=True)

    @cache
    def searched() -> dict[str, Mapping[str, Any]]:
        return {without_code(facts): facts for facts in sorted(searches(), key=lambda of: sum(of["recipe"].values()))}

    trainer.recall = lambda values: noted().get(key(values))
    trainer.recall_search = lambda facts: searched().get(without_code(facts))


def _attempts(results: Results, name: str) -> Iterator[Line]:
    """Yield the first attempt of each trial of trainer `name`; journals that can't be read are told elsewhere."""
    for path in results.root.glob("trials/*/journal.jsonl"):
        with suppress(JournalError, OSError, LookupError, TypeError):
            line = next(iter(read_lines(path)), None)
            if line is not None and line.get("trainer") == name:
                yield line


def _facts_of_searches(results: Results) -> Iterator[Mapping[str, Any]]:
    """Yield the facts of each search of the folder; journals that can't be read are told elsewhere."""
    for path in results.root.glob("searches/*/journal.jsonl"):
        with suppress(OSError, ValueError, LookupError, TypeError), path.open("rb") as file:
            yield json.loads(file.readline())["facts"]


def sweep_in(file: Path, results: Results, settings: Sequence[str] = ()) -> Sweep:
    """Return the sweep in `file`; a trainer or a data set that can't be found is as `results` describe it.

    `settings` are those of `--set`, see `sweeper.sweepfile.tries`. Raises SweepError.
    """
    make_known(results)
    return tried(load(file, partial(trainer_that, results)), settings)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror}; repair that, then run the same command again") from None
