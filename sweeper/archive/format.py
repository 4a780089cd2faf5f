"""One file that carries a sweep's results elsewhere: its form, and reading one that anybody may have made.

A zip whose first member, manifest.json, has the size and sha256 of every other: journals, last good checkpoints.
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

MOST_MEMBERS = 1_000_000
LARGEST_MEMBER = 2**30
LARGEST_IN_ALL = 2**38
LARGEST_RATIO = 200
"""Bytes out for each byte in of one member; journals of runs that were often cut off reach 80."""
RATIO_FREE = 2**20
"""Members no larger than this may shrink to nothing; a journal of one line repeated does."""


class ArchiveError(SweepError):
    """A file that isn't an archive of this project's, or not a whole one; nothing was written."""


class Member(BaseModel):
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
    members: list[Member]


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

    def read(self, member: Member) -> bytes:
        """Return a member's content. Raises ArchiveError if it isn't what the manifest says."""
        with self._told():
            content = self._zip.read(member.name)
        if sha256(content) != member.sha256:
            raise self._bad(f"{member.name} doesn't match its digest")
        return content

    def _checked_manifest(self) -> Manifest:
        entries = self._zip.infolist()
        if not entries or entries[0].filename != MANIFEST or len(entries) > MOST_MEMBERS:
            raise self._bad(f"it doesn't begin with {MANIFEST}" if len(entries) <= MOST_MEMBERS else "too many members")
        for entry in entries:
            if fault := _fault(entry):
                raise self._bad(f"{entry.filename[:100]!r} {fault}")
        if len({entry.filename for entry in entries}) < len(entries):
            raise self._bad("a name is in it twice")
        if sum(entry.file_size for entry in entries) > LARGEST_IN_ALL:
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
        if [(e.filename, e.file_size) for e in entries[1:]] != [(m.name, m.size) for m in manifest.members]:
            raise self._bad(f"its members are not those of {MANIFEST}")
        return manifest

    def _checked_trials(self) -> dict[str, list[Member]]:
        trials: dict[str, list[Member]] = {}
        for member in self.manifest.members:
            content = self.read(member)
            if journal := JOURNAL.fullmatch(member.name):
                self._check_journal(member, content, journal[1])
                trials[journal[1]] = [member]
            elif member.name.split("/")[1] not in trials:
                raise self._bad(f"{member.name} doesn't follow its trial's journal")
            elif unseal(content) is None:
                raise self._bad(f"{member.name} isn't a whole checkpoint")
            else:
                trials[member.name.split("/")[1]].append(member)
        return trials

    def _check_journal(self, member: Member, content: bytes, trial_id: str) -> None:
        try:
            facts = check(content, trial_id)
        except JournalFormError as error:
            raise self._bad(f"{member.name}: {error}") from None
        if not facts.data.items() <= self.manifest.digests.items():
            raise self._bad(f"{member.name} was trained on other data than {MANIFEST} names")

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


def _fault(entry: zipfile.ZipInfo) -> str:
    """Return what a member's header has that no export writes, or nothing."""
    name, mode = entry.filename, entry.external_attr >> 16
    if name != MANIFEST and not JOURNAL.fullmatch(name) and not CHECKPOINT.fullmatch(name):
        return "is no name that an export writes"
    if entry.orig_filename != name or stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "is not a plain file"
    if entry.flag_bits & 0x1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is encrypted or packed by a method that an export doesn't use"
    if entry.file_size > LARGEST_MEMBER:
        return f"is larger than {LARGEST_MEMBER} bytes"
    if entry.file_size > max(RATIO_FREE, LARGEST_RATIO * entry.compress_size):
        return f"unpacks to more than {LARGEST_RATIO} times its size"
    return ""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
