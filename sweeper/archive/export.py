"""Writes the results of a sweep into one archive. Does not change the results folder."""

import json
import os
import stat
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sweeper.archive.format import CHECKPOINT, MANIFEST, Archive, Entry, Manifest, sha256
from sweeper.errors import SweepError
from sweeper.host.provenance import circumstances
from sweeper.planning.searched import searches_of
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.journal_form import JournalFormError, check
from sweeper.results.known_datasets import described_in
from sweeper.results.known_trainers import described
from sweeper.results.locks import holder_of
from sweeper.results.paths import FURTHEST, Results, ResultsError, storage_explained, whole_checkpoint
from sweeper.search.journal import fold
from sweeper.sweepfile.sweep import Sweep
from trainers.sealed_file import part_of
from trainers.trainer import DEFAULT, Trainer


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A file as it was when its digest was computed. `kept` is its content if the file may be deleted meanwhile."""

    entry: Entry
    path: Path
    kept: bytes | None

    def content(self) -> bytes:
        try:
            content = self.kept if self.kept is not None else self.path.read_bytes()[: self.entry.size]
        except FileNotFoundError:
            content = b""
        if sha256(content) != self.entry.sha256:
            raise ResultsError(f"{self.path}: a run changed it during the export; run the same command again")
        return content


class Exported(NamedTuple):
    """What `export` wrote: numbers of trials and checkpoints, ids still being trained, and the file's size in bytes."""

    trials: int
    checkpoints: int
    running: tuple[str, ...]
    size: int


def export(
    sweep: Sweep, profile: str | None, specs: Sequence[TrialSpec], results: Results, out: Path, *, force: bool = False
) -> Exported:
    """Write the results of `specs` to `out`, completely or not at all. Equal content gives equal bytes.

    A trial that is being trained is exported up to its last whole line. Raises SweepError if there is nothing to
    export or `out` exists without `force`, ResultsError if reading or writing fails.
    """
    if not out.parent.is_dir():
        raise SweepError(f"{out}: the folder {out.parent} doesn't exist; create it, or name another file with --out")
    if out.exists() and not out.is_file():
        raise SweepError(f"{out}: {'is a folder' if out.is_dir() else 'is not a file'}; name a file with --out")
    if out.exists() and not force:
        raise SweepError(f"{out}: already exists; replace it with --force, or name another with --out")
    running: list[str] = []
    with storage_explained(results.root):
        sources = [source for spec in specs for source in _trial_sources(results, spec, running)]
    entries = [source.entry for source in sources]
    trials = {entry.name.split("/")[1] for entry in entries}
    trainers = {spec.trainer.name: spec.trainer for spec in specs if spec.trial_id in trials}
    if not trials:
        raise SweepError(
            f"{sweep.name}: none of its {len(specs)} trials has begun in {results.root}; nothing to export"
        )
    with storage_explained(results.root):
        descriptions = [_description(results, trainers[name]) for name in sorted(trainers.keys() - {DEFAULT})]
        digests = {spec.trainer.dataset(spec.cell_config): spec.digest for spec in specs if spec.trial_id in trials}
        descriptions += [_kept(results, results.dataset(name)) for name in _described_sets(results, digests)]
    with storage_explained(results.root):
        searches = [
            source for search in searches_of_sweep(sweep, profile, results) for source in _search(results, search)
        ]
    facts = circumstances()
    manifest = Manifest(
        schema_version=1,
        sweep=sweep.name,
        profile=profile,
        sweep_file=os.fsencode(sweep.path.name).decode(errors="replace"),
        sweep_text=sweep.path.read_text(encoding="utf-8"),
        commit=facts["commit"],
        dirty=facts["dirty"],
        versions=facts["versions"],
        digests={name: digest for name, digest in digests.items() if name},
        members=[source.entry for source in descriptions] + entries + [source.entry for source in searches],
    )
    with storage_explained(out):
        _write(out, manifest, descriptions + sources + searches)
        return Exported(len(trials), len(entries) - len(trials), tuple(running), out.stat().st_size)


def searches_of_sweep(sweep: Sweep, profile: str | None, results: Results) -> list[str]:
    """Return the ids of the searches of a sweep; none for a grid."""
    if sweep.search is None:
        return []
    return [search.search_id for search in searches_of(sweep, profile, results.digests())]


def _search(results: Results, search_id: str) -> Iterator[_Source]:
    """Yield the journal of a search that has begun. Raises SearchJournalError, OSError."""
    path = results.search(search_id).journal
    content = whole_lines(path)
    if content:
        fold(content, path)
        name = path.relative_to(results.root).as_posix()
        yield _Source(entry=Entry(name=name, size=len(content), sha256=sha256(content)), path=path, kept=content)


def _description(results: Results, trainer: Trainer) -> _Source:
    """Return the description of a trainer as the first attempt of a trial has left it. Raises OSError."""
    path = results.trainer(trainer.name)
    return _kept(results, path, None if path.exists() else described(trainer, []))


def _described_sets(results: Results, digests: Mapping[str, str]) -> list[str]:
    """Return the names of the data sets that the folder describes and trials used. Raises OSError, ResultsError."""
    there = [name for name in sorted(digests) if name and results.dataset(name).is_file()]
    return [name for name in there if _described_set(results.dataset(name)) == digests[name]]


def _described_set(path: Path) -> str:
    return described_in(path.read_bytes(), path).digest


def _kept(results: Results, path: Path, content: bytes | None = None) -> _Source:
    content = path.read_bytes() if content is None else content
    name = path.relative_to(results.root).as_posix()
    return _Source(entry=Entry(name=name, size=len(content), sha256=sha256(content)), path=path, kept=content)


def _trial_sources(results: Results, spec: TrialSpec, running: list[str]) -> Iterator[_Source]:
    """Yield the journal and checkpoints of a trial that has begun. Add it to `running` if it is being trained."""
    paths = results.trial(spec.trial_id)
    held = holder_of(paths) is not None
    # Read checkpoints before the journal: a resumed worker sends records that only a checkpoint has again, but no
    # checkpoint can supply records that only the journal has.
    good = [whole_checkpoint(paths, furthest) for furthest in (FURTHEST, spec.target)]
    checkpoints = {found.path: found.content for found in good if found is not None}
    journal = whole_lines(paths.journal)
    if not journal:
        return
    try:
        check(journal, spec.trial_id)
    except JournalFormError as error:
        raise ResultsError(
            f"{paths.journal}, {error}; mend it with `sweeper run FILE --mend {spec.trial_id}`, or move the trial's "
            "folder away to export the others"
        ) from None
    if held:
        running.append(spec.trial_id)
    for path, content in {paths.journal: journal, **checkpoints}.items():
        name = path.relative_to(results.root).as_posix()
        yield _Source(
            entry=Entry(name=name, size=len(content), sha256=sha256(content)),
            path=path,
            kept=content if held and path in checkpoints else None,
        )


def whole_lines(journal: Path) -> bytes:
    """Return the journal's content without an incomplete last line; empty if there is no file."""
    try:
        content = journal.read_bytes()
    except FileNotFoundError:
        return b""
    return content[: content.rfind(b"\n") + 1]


def _write(out: Path, manifest: Manifest, sources: Sequence[_Source]) -> None:
    part = part_of(out)
    try:
        with part.open("xb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                text = json.dumps(manifest.model_dump(), indent=1, sort_keys=True, ensure_ascii=False)
                archive.writestr(_header(MANIFEST, zipfile.ZIP_DEFLATED), text)
                for source in sources:
                    # A checkpoint's numbers don't compress: compressing them costs time and saves nothing.
                    kind = zipfile.ZIP_STORED if CHECKPOINT.fullmatch(source.entry.name) else zipfile.ZIP_DEFLATED
                    archive.writestr(_header(source.entry.name, kind), source.content())
            file.flush()
            os.fsync(file.fileno())
        with Archive(part):  # check that it can be read before it becomes `out`
            part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _header(name: str, compression: int) -> zipfile.ZipInfo:
    """Return an entry's header, which depends neither on this machine nor on the time."""
    header = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    header.compress_type, header.create_system, header.external_attr = compression, 3, (stat.S_IFREG | 0o644) << 16
    return header
