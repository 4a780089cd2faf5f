"""One file that carries a sweep's results elsewhere: its form, and reading one that anybody may have made.

A zip whose first entry, manifest.json, has the size and sha256 of every other: journals, last good checkpoints.
`sweeper.archive.export` writes one, `sweeper.archive.merge` puts one into a results folder.
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

from sweeper.errors import SweepError
from sweeper.results.journal_form import TRIAL_ID, Digest, JournalFormError, check
from sweeper.results.paths import ResultsError
from trainers.sealed_file import unseal

MANIFEST = "manifest.json"
JOURNAL = re.compile(rf"trials/({TRIAL_ID})/journal\.jsonl", re.ASCII)
CHECKPOINT = re.compile(rf"trials/({TRIAL_ID})/a([1-9][0-9]{{0,8}})/step-([0-9]{{8}})\.ckpt", re.ASCII)

MOST_ENTRIES = 1_000_000
LARGEST_ENTRY = 2**30
LARGEST_IN_ALL = 2**38
LARGEST_RATIO = 200
"""Bytes out for each byte in of one entry; journals of runs that were often cut off reach 80."""
RATIO_FREE = 2**20
"""Entries no larger than this may shrink to nothing; a journal of one line repeated does."""


class ArchiveError(SweepError):
    """A file that isn't an archive of this project's, or not a whole one; nothing was written."""


class Entry(BaseModel):
    """One file of an archive, by its place below the results folder."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: str
    size: Annotated[int, Field(ge=0)]
    sha256: Digest


class Manifest(BaseModel):
    """What an archive is of. `digests` names the data that its trials were trained on, as digests.json does."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    schema_version: Literal[1]
    sweep: str
    profile: str | None
    sweep_file: str
    sweep_text: str
    commit: str
    dirty: bool
    versions: dict[str, str]
    digests: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")], Digest]
    members: list[Entry]


class Archive:
    """An archive open for reading, every byte of it checked; `trials` maps an id to its journal and checkpoints."""

    def __init__(self, path: Path) -> None:
        """Open and check the file. Raises ArchiveError saying what is wrong with it, ResultsError if unreadable."""
        self.path = path
        with self._told():
            self._zip = zipfile.ZipFile(path)
        try:
            self.manifest = self._checked_manifest()
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
        """Return an entry's content. Raises ArchiveError if it isn't what the manifest says."""
        with self._told():
            content = self._zip.read(entry.name)
        if sha256(content) != entry.sha256:
            raise self._bad(f"{entry.name} doesn't match its digest")
        return content

    def _checked_manifest(self) -> Manifest:
        headers = self._zip.infolist()
        if not headers or headers[0].filename != MANIFEST or len(headers) > MOST_ENTRIES:
            raise self._bad(f"it doesn't begin with {MANIFEST}" if len(headers) <= MOST_ENTRIES else "too many entries")
        for header in headers:
            if fault := _fault(header):
                raise self._bad(f"{header.filename[:100]!r} {fault}")
        if len({header.filename for header in headers}) < len(headers):
            raise self._bad("a name is in it twice")
        if sum(header.file_size for header in headers) > LARGEST_IN_ALL:
            raise self._bad(f"it would unpack to more than {LARGEST_IN_ALL} bytes")
        with self._told():
            text = self._zip.read(MANIFEST)
        try:
            manifest = Manifest.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            newer = "; it may be a newer sweeper's, update this one" if place == "schema_version" else ""
            raise self._bad(f"{MANIFEST}: {place}: {first['msg']}{newer}") from None
        if [(h.filename, h.file_size) for h in headers[1:]] != [(e.name, e.size) for e in manifest.members]:
            raise self._bad(f"its entries are not those of {MANIFEST}")
        return manifest

    def _checked_trials(self) -> dict[str, list[Entry]]:
        trials: dict[str, list[Entry]] = {}
        for entry in self.manifest.members:
            content = self.read(entry)
            if journal := JOURNAL.fullmatch(entry.name):
                self._check_journal(entry, content, journal[1])
                trials[journal[1]] = [entry]
            elif entry.name.split("/")[1] not in trials:
                raise self._bad(f"{entry.name} doesn't follow its trial's journal")
            elif unseal(content) is None:
                raise self._bad(f"{entry.name} isn't a whole checkpoint")
            else:
                trials[entry.name.split("/")[1]].append(entry)
        return trials

    def _check_journal(self, entry: Entry, content: bytes, trial_id: str) -> None:
        try:
            facts = check(content, trial_id)
        except JournalFormError as error:
            raise self._bad(f"{entry.name}: {error}") from None
        if not facts.data.items() <= self.manifest.digests.items():
            raise self._bad(f"{entry.name} was trained on other data than {MANIFEST} names")

    def _bad(self, what: str) -> ArchiveError:
        return ArchiveError(f"{self.path}: not a whole archive of `sweeper export`: {what}; nothing was imported")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what a damaged or hostile zip makes the library raise into an ArchiveError."""
        try:
            yield
        except (FileNotFoundError, IsADirectoryError) as error:
            raise ArchiveError(f"{self.path}: {error.strerror}; give a file that `sweeper export` wrote") from None
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError) as error:
            raise self._bad(str(error) or type(error).__name__) from None
        except OSError as error:
            if error.errno == errno.EINVAL:  # a place before the file's beginning
                raise self._bad("it points outside itself") from None
            raise ResultsError(f"{self.path}: can't be read ({error.strerror})") from None


def _fault(header: zipfile.ZipInfo) -> str:
    """Return what an entry's header has that no export writes, or nothing."""
    name, mode = header.filename, header.external_attr >> 16
    if name != MANIFEST and not JOURNAL.fullmatch(name) and not CHECKPOINT.fullmatch(name):
        return "is no name that an export writes"
    if header.orig_filename != name or stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "is not a plain file"
    if header.flag_bits & 0x1 or header.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is encrypted or packed by a method that an export doesn't use"
    if header.file_size > LARGEST_ENTRY:
        return f"is larger than {LARGEST_ENTRY} bytes"
    if header.file_size > max(RATIO_FREE, LARGEST_RATIO * header.compress_size):
        return f"unpacks to more than {LARGEST_RATIO} times its size"
    return ""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
