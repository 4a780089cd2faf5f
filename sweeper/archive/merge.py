"""Merges a checked archive into a results folder, trial by trial. Repeating a merge changes nothing.

A journal only grows. So of two journals of one trial, the longer one is right if it begins with the shorter one.
"""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from sweeper.archive.export import whole_lines
from sweeper.archive.format import CHECKPOINT, Archive, Entry
from sweeper.errors import SweepError
from sweeper.results.journal_form import sound_part
from sweeper.results.locks import Lock, holder_of, require_locks
from sweeper.results.paths import Results, ResultsError, SearchPaths, TrialPaths, storage_explained
from trainers.sealed_file import naming, unseal, write_whole

Taken = Literal["added", "updated", "unchanged", "kept", "diverging", "held"]
REFUSED: frozenset[Taken] = frozenset({"diverging", "held"})


class Outcome(NamedTuple):
    """What happened to one trial of an archive; `why` says in a few words why it was refused."""

    taken: Taken
    why: str = ""


def merge(archive: Archive, results: Results) -> dict[str, Outcome]:
    """Merge `archive` into `results` and return what happened to each trial, by id, in the archive's order.

    Raises SweepError, with nothing written, if the folder's trials were trained on another copy of a data set, and
    ResultsError if the folder can't be written or lacks space; trials merged by then are complete.
    """
    _refuse_other_data(archive.manifest.digests, results)
    results.ensure_writable()
    require_locks(results)
    needed = sum(entry.size for entry in archive.manifest.members)
    free = shutil.disk_usage(results.root).free
    if needed > free:
        raise ResultsError(f"{results.root}: the archive needs {needed} bytes, {free} are free; nothing was imported")
    with storage_explained(results.root), _scratch(results) as scratch:
        results.note_digests(archive.manifest.digests)
        _keep_descriptions(archive, results)
        (results.root / "trials").mkdir(exist_ok=True)
        return {
            trial_id: _merge_trial(archive, entries, results.trial(trial_id), scratch)
            for trial_id, entries in archive.trials.items()
        }


def merge_searches(archive: Archive, results: Results) -> dict[str, Outcome]:
    """Merge the journals of searches, after their trials, and return what happened to each. Raises ResultsError."""
    with storage_explained(results.root):
        return {
            search_id: _merge_search(archive.read(entry), results.search(search_id))
            for search_id, entry in archive.searches.items()
        }


def _merge_search(theirs: bytes, paths: SearchPaths) -> Outcome:
    lock = Lock(paths)
    if not lock.take():
        holder = holder_of(paths) or {"host": "another host", "pid": "unknown"}
        return Outcome("held", f"held by process {holder['pid']} on {holder['host']}")
    try:
        ours = whole_lines(paths.journal)
        if ours.startswith(theirs):
            return Outcome("unchanged" if ours == theirs else "kept")
        if not theirs.startswith(ours):
            return Outcome("diverging", "its journal and the archive's go on differently; keep one of the two folders")
        _append(paths.journal, ours, theirs)
        return Outcome("updated" if ours else "added")
    finally:
        lock.release()


def _keep_descriptions(archive: Archive, results: Results) -> None:
    """Write the descriptions of trainers and data sets that this folder lacks. Its own runs made those that it has."""
    descriptions = [(results.trainer(name), entry) for name, entry in archive.trainers.items()]
    descriptions += [(results.dataset(name), entry) for name, entry in archive.datasets.items()]
    for path, entry in descriptions:
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            write_whole(path, archive.read(entry))


def _refuse_other_data(digests: Mapping[str, str], results: Results) -> None:
    known = results.digests()
    for name, digest in digests.items():
        if known.get(name, digest) != digest:
            raise SweepError(
                f"{results.root}: its trials use {name} with digest {known[name][:16]}, the archive's {digest[:16]}, "
                "so they can't be compared; nothing was imported; name another folder with --results"
            )


@contextmanager
def _scratch(results: Results) -> Iterator[Path]:
    """Yield an empty folder on the results' disk and delete it afterwards. What a killed import left is deleted."""
    lock = Lock(TrialPaths(results.root / ".import"))
    if not lock.take():
        raise SweepError(f"{results.root}: another import into it is under way; run this again when it has ended")
    folder = lock.paths.folder / "new"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _merge_trial(archive: Archive, entries: list[Entry], paths: TrialPaths, scratch: Path) -> Outcome:
    if not paths.folder.exists() and _placed(archive, entries, paths, scratch):
        return Outcome("added")
    lock = Lock(paths)
    if not lock.take():
        holder = holder_of(paths) or {"host": "another host", "pid": "unknown"}
        return Outcome("held", f"held by process {holder['pid']} on {holder['host']}")
    try:
        return _merge_journal(archive, entries, paths)
    finally:
        lock.release()


def _placed(archive: Archive, entries: list[Entry], paths: TrialPaths, scratch: Path) -> bool:
    """Write the trial's folder in `scratch` and rename it into place; False if a run has begun one meanwhile."""
    made = TrialPaths(scratch / paths.folder.name)
    made.folder.mkdir()
    for entry in entries:
        place = _place(made, entry)
        place.parent.mkdir(exist_ok=True)
        write_whole(place, archive.read(entry))
    try:
        made.folder.rename(paths.folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    _sync_folder(paths.folder.parent)
    return True


def _merge_journal(archive: Archive, entries: list[Entry], paths: TrialPaths) -> Outcome:
    """Bring an existing, locked trial up to the archive's. An incomplete last line of its journal is dropped.

    Writes checkpoints before the journal, as a run does: a checkpoint without a journal does no harm.
    """
    journal, *checkpoints = entries
    theirs, ours = archive.read(journal), whole_lines(paths.journal)
    if ours.startswith(theirs) and ours != theirs:
        return Outcome("kept")
    if not theirs.startswith(ours):
        return Outcome("diverging", _why_diverging(ours, paths))
    for entry in checkpoints:
        place = _place(paths, entry)
        if not place.exists() or unseal(place.read_bytes()) is None:
            place.parent.mkdir(exist_ok=True)
            write_whole(place, archive.read(entry))
    if theirs == ours:
        return Outcome("unchanged")
    _append(paths.journal, ours, theirs)
    return Outcome("updated" if ours else "added")


def _why_diverging(ours: bytes, paths: TrialPaths) -> str:
    sound = sound_part(ours, paths.folder.name)
    if sound.fault:
        return (
            f"its journal here is damaged: {paths.journal}, line {sound.lines + 1}: {sound.fault}; mend it with "
            f"`sweeper run FILE --mend {paths.folder.name}`, or move its folder away and import again"
        )
    return "its journal and the archive's continue one attempt differently or are of two runs"


def _place(paths: TrialPaths, entry: Entry) -> Path:
    """Return the path to write an entry to. Its name was checked, so it can't lead out of the trial's folder."""
    checkpoint = CHECKPOINT.fullmatch(entry.name)
    return paths.checkpoint(int(checkpoint[2]), int(checkpoint[3])) if checkpoint else paths.journal


def _append(journal: Path, ours: bytes, theirs: bytes) -> None:
    """Extend the journal from `ours`, its whole lines, to `theirs`. On an error leave it at `ours`. Raises OSError."""
    with naming(journal), journal.open("r+b" if journal.exists() else "xb", buffering=0) as file:
        file.truncate(len(ours))
        file.seek(len(ours))
        try:
            rest = theirs[len(ours) :]
            if file.write(rest) < len(rest):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        except OSError:
            file.truncate(len(ours))
            raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
