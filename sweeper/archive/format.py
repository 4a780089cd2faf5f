"""The format of an archive, and reading an archive that may come from an untrusted source.

A zip file. Its first entry, manifest.json, has the size and sha256 of every other: journals, last good checkpoints,
descriptions of trainers other than MAML and of data sets that are not built in, and the journals of searches. A
description is plain data: nothing here imports a trainer that it names. Does not write: `sweeper.archive.export` writes
an archive, and `sweeper.archive.merge` puts it into a results folder.
"""

import errno
import hashlib
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sweeper.errors import SweepError, of_os
from sweeper.results.journal_form import TRIAL_ID, Digest, JournalFormError, check
from sweeper.results.known_datasets import described_in
from sweeper.results.known_trainers import known_in
from sweeper.results.paths import Results, ResultsError
from sweeper.search.journal import fold
from trainers.regular_file import require_regular
from trainers.sealed_file import unseal
from trainers.trainer import DEFAULT

MANIFEST = "manifest.json"
JOURNAL = re.compile(rf"trials/({TRIAL_ID})/journal\.jsonl", re.ASCII)
SEARCH = re.compile(rf"searches/({TRIAL_ID})/journal\.jsonl", re.ASCII)
TRAINER = re.compile(r"trainers/([a-z0-9][a-z0-9_-]{0,63})\.json", re.ASCII)
DATASET = re.compile(r"datasets/([a-z][a-z0-9_-]{0,63})\.json", re.ASCII)
CHECKPOINT = re.compile(rf"trials/({TRIAL_ID})/a([1-9][0-9]{{0,8}})/step-([0-9]{{8}})\.ckpt", re.ASCII)

MOST_ENTRIES = 1_000_000
LARGEST_ENTRY = 2**30
LARGEST_DESCRIPTION = 2**20
LARGEST_IN_ALL = 2**38
LARGEST_RATIO = 200
"""Most uncompressed bytes per compressed byte of an entry. Journals of often interrupted runs reach 80."""
RATIO_FREE = 2**20
"""Entries up to this many bytes may have any ratio: a journal that repeats one line compresses very well."""


class ArchiveError(SweepError):
    """A file that isn't a complete archive of `sweeper export`. Nothing was written."""


class Entry(BaseModel):
    """One file of an archive; `name` is its path below the results folder, `size` is in bytes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: str
    size: Annotated[int, Field(ge=0)]
    sha256: Digest


class Manifest(BaseModel):
    """The content of an archive. `digests` has the sha256 of each data set its trials used, as in digests.json."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    schema_version: Literal[1]
    sweep: str
    profile: str | None
    sweep_file: str
    sweep_text: str
    commit: str
    dirty: bool
    versions: dict[str, str]
    digests: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")], Digest]
    members: list[Entry]


class Archive:
    """An archive open for reading, with every byte checked; `trials` maps an id to its journal and checkpoints.

    `trainers` maps the name of each described trainer to the entry of its description, `datasets` that of each
    described data set, and `searches` the id of each search to its journal.
    """

    def __init__(self, path: Path) -> None:
        """Open and check the file. Raises ArchiveError that says what is wrong, SweepError if it can't be read."""
        self.path = path
        with self._explained():
            require_regular(path)
            self._zip = zipfile.ZipFile(path)
        try:
            self.manifest = self._checked_manifest()
            self.trainers: dict[str, Entry] = {}
            self.searches: dict[str, Entry] = {}
            self.datasets: dict[str, Entry] = {}
            self.trials = self._checked_trials()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def read(self, entry: Entry) -> bytes:
        """Return an entry's content. Raises ArchiveError if its digest isn't that of the manifest."""
        with self._explained():
            content = self._zip.read(entry.name)
        if sha256(content) != entry.sha256:
            raise self._bad(f"{entry.name} doesn't match its digest")
        return content

    def _checked_manifest(self) -> Manifest:
        headers = self._zip.infolist()
        if len(headers) > MOST_ENTRIES:
            raise self._bad(f"it has more than {MOST_ENTRIES} entries")
        if not headers or headers[0].filename != MANIFEST:
            raise self._bad(f"it doesn't begin with {MANIFEST}")
        for header in headers:
            if fault := _fault(header):
                raise self._bad(f"{header.filename[:100]!r} {fault}")
        if len({header.filename for header in headers}) < len(headers):
            raise self._bad("it holds the same name twice")
        if sum(header.file_size for header in headers) > LARGEST_IN_ALL:
            raise self._bad(f"it would unpack to more than {LARGEST_IN_ALL} bytes")
        with self._explained():
            text = self._zip.read(MANIFEST)
        try:
            manifest = Manifest.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            newer = "; a newer sweeper may have written it, update this one" if place == "schema_version" else ""
            raise self._bad(f"{MANIFEST}: {place}: {first['msg']}{newer}") from None
        if [(h.filename, h.file_size) for h in headers[1:]] != [(e.name, e.size) for e in manifest.members]:
            raise self._bad(f"its entries differ from those in {MANIFEST}")
        return manifest

    def _checked_trials(self) -> dict[str, list[Entry]]:
        trials: dict[str, list[Entry]] = {}
        for entry in self.manifest.members:
            content = self.read(entry)
            if TRAINER.fullmatch(entry.name):
                self._check_trainer(entry, content)
            elif search := SEARCH.fullmatch(entry.name):
                self._check_search(entry, content)
                self.searches[search[1]] = entry
            elif DATASET.fullmatch(entry.name):
                self._check_dataset(entry, content)
            elif journal := JOURNAL.fullmatch(entry.name):
                self._check_journal(entry, content, journal[1])
                trials[journal[1]] = [entry]
            elif entry.name.split("/")[1] not in trials:
                raise self._bad(f"{entry.name} doesn't follow its trial's journal")
            elif unseal(content) is None:
                raise self._bad(f"{entry.name} isn't a whole checkpoint")
            else:
                trials[entry.name.split("/")[1]].append(entry)
        return trials

    def _check_trainer(self, entry: Entry, content: bytes) -> None:
        if len(content) > LARGEST_DESCRIPTION:
            raise self._bad(f"{entry.name} is larger than {LARGEST_DESCRIPTION} bytes")
        try:
            name = known_in(content, Path(entry.name)).trainer.name
        except ResultsError as error:
            raise self._bad(str(error).partition(";")[0]) from None
        if Results(Path()).trainer(name).as_posix() != entry.name:
            raise self._bad(f"{entry.name} describes the trainer {name[:100]!r}")
        self.trainers[name] = entry

    def _check_search(self, entry: Entry, content: bytes) -> None:
        try:
            fold(content, Path(entry.name))
        except ResultsError as error:
            raise self._bad(str(error).partition(";")[0]) from None

    def _check_dataset(self, entry: Entry, content: bytes) -> None:
        if len(content) > LARGEST_DESCRIPTION:
            raise self._bad(f"{entry.name} is larger than {LARGEST_DESCRIPTION} bytes")
        try:
            description = described_in(content, Path(entry.name))
        except ResultsError as error:
            raise self._bad(str(error).partition(";")[0]) from None
        if Results(Path()).dataset(description.name).as_posix() != entry.name:
            raise self._bad(f"{entry.name} describes the data set {description.name}")
        if self.manifest.digests.get(description.name) != description.digest:
            raise self._bad(f"{entry.name} has another digest than its trials")
        self.datasets[description.name] = entry

    def _check_journal(self, entry: Entry, content: bytes, trial_id: str) -> None:
        try:
            facts = check(content, trial_id)
        except JournalFormError as error:
            raise self._bad(f"{entry.name}: {error}") from None
        if facts.trainer != DEFAULT and facts.trainer not in self.trainers:
            raise self._bad(f"{entry.name} is of the trainer {facts.trainer[:100]!r}, which it doesn't describe")
        if not facts.data.items() <= self.manifest.digests.items():
            raise self._bad(f"{entry.name} was trained on data that {MANIFEST} doesn't name")

    def _bad(self, what: str) -> ArchiveError:
        return ArchiveError(f"{self.path}: not a complete archive of `sweeper export`: {what}; nothing was imported")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn the errors that a damaged or hostile zip causes in the library into an ArchiveError."""
        try:
            yield
        except (FileNotFoundError, IsADirectoryError) as error:
            raise ArchiveError(f"{self.path}: {error.strerror}; give a file that `sweeper export` wrote") from None
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError) as error:
            raise self._bad(str(error) or type(error).__name__) from None
        except OSError as error:
            if error.errno == errno.EINVAL and error.filename is None:  # an offset before the start of the file
                raise self._bad("it refers to bytes outside the file") from None
            raise of_os(error, self.path) from None


def _fault(header: zipfile.ZipInfo) -> str:
    """Return what is wrong with an entry's header that no export writes, or an empty string."""
    name, mode = header.filename, header.external_attr >> 16
    known_names = (JOURNAL, CHECKPOINT, TRAINER, DATASET, SEARCH)
    if name != MANIFEST and not any(known.fullmatch(name) for known in known_names):
        return "is not a name that an export writes"
    if header.orig_filename != name or stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "is not a plain file"
    if header.flag_bits & 0x1 or header.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is encrypted or compressed by a method that an export doesn't use"
    if header.file_size > LARGEST_ENTRY:
        return f"is larger than {LARGEST_ENTRY} bytes"
    if header.file_size > max(RATIO_FREE, LARGEST_RATIO * header.compress_size):
        return f"unpacks to more than {LARGEST_RATIO} times its compressed size"
    return ""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
