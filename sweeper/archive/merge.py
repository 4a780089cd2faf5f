"""Puts a checked archive into a results folder, trial by trial; doing it again changes nothing.

A journal only ever grows, so of two journals of one trial the longer is the truth where the other is its beginning.
"""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from sweeper.archive.export import storage_told, whole_lines
from sweeper.archive.format import CHECKPOINT, Archive, Entry
from sweeper.errors import SweepError
from sweeper.results.locks import Lock, holder_of
from sweeper.results.paths import Results, ResultsError, TrialPaths
from trainers.sealed_file import unseal, write_whole

Taken = Literal["added", "updated", "unchanged", "kept", "diverging", "held"]
REFUSED: frozenset[Taken] = frozenset({"diverging", "held"})


class Outcome(NamedTuple):
    """What became of one trial of an archive, and why in a few words where it was refused."""

    taken: Taken
    why: str = ""


def merge(archive: Archive, results: Results) -> dict[str, Outcome]:
    """Bring `results` up to `archive` and return what became of each trial, in the archive's order.

    Raises SweepError, with nothing written, where the folder's trials were trained on another copy of a data set, and
    ResultsError where it can't be written or hasn't the room; what was merged by then is whole.
    """
    _refuse_other_data(archive.manifest.digests, results)
    results.ensure_writable()
    needed = sum(entry.size for entry in archive.manifest.members)
    free = shutil.disk_usage(results.root).free
    if needed > free:
        raise ResultsError(f"{results.root}: {needed} bytes are to be written, {free} are free; nothing was imported")
    with storage_told(results.root), _scratch(results) as scratch:
        results.note_digests(archive.manifest.digests)
        (results.root / "trials").mkdir(exist_ok=True)
        return {
            trial_id: _merge_trial(archive, entries, results.trial(trial_id), scratch)
            for trial_id, entries in archive.trials.items()
        }


def _refuse_other_data(digests: Mapping[str, str], results: Results) -> None:
    known = results.digests()
    for name, digest in digests.items():
        if known.get(name, digest) != digest:
            raise SweepError(
                f"{results.root}: its trials use {name} of digest {known[name][:16]}, the archive's {digest[:16]}, so "
                "they can't be compared; nothing was imported, name another folder with --results"
            )


@contextmanager
def _scratch(results: Results) -> Iterator[Path]:
    """Yield an empty folder on the results' disk, gone afterwards; what a killed import left there goes first."""
    lock = Lock(TrialPaths(results.root / ".import"))
    if not lock.take():
        raise SweepError(f"{results.root}: another import into it is under way; run this again when that has ended")
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
    """Make the trial's folder beside its place and rename it there; False if a run has begun one meanwhile."""
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
    """Bring a trial that is there, and locked, up to the archive's; a last line that a crash tore counts for nothing.

    Checkpoints first, as a run has it: one without a journal does no harm.
    """
    journal, *checkpoints = entries
    theirs, ours = archive.read(journal), whole_lines(paths.journal)
    if ours.startswith(theirs) and ours != theirs:
        return Outcome("kept")
    if not theirs.startswith(ours):
        return Outcome("diverging", "its journal and the archive's both went on from the same attempt, or are two runs")
    for entry in checkpoints:
        place = _place(paths, entry)
        if not place.exists() or unseal(place.read_bytes()) is None:
            place.parent.mkdir(exist_ok=True)
            write_whole(place, archive.read(entry))
    if theirs == ours:
        return Outcome("unchanged")
    _append(paths.journal, ours, theirs)
    return Outcome("updated" if ours else "added")


def _place(paths: TrialPaths, entry: Entry) -> Path:
    """Return where an entry goes. Its name has been matched, so it can't lead anywhere else."""
    checkpoint = CHECKPOINT.fullmatch(entry.name)
    return paths.checkpoint(int(checkpoint[2]), int(checkpoint[3])) if checkpoint else paths.journal


def _append(journal: Path, ours: bytes, theirs: bytes) -> None:
    """Let the journal go on from `ours`, its whole lines, to `theirs`; or leave it at `ours`."""
    with journal.open("r+b" if journal.exists() else "xb", buffering=0) as file:
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
