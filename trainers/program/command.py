"""A program's command with placeholders for config fields: read from a sweep file, and filled in. Starts nothing."""

import re
import shlex
import string
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trainers.code import code_of, files_of_module
from trainers.fields import shown
from trainers.trainer import TrainerError

MOST_ARGUMENTS = 1000
LONGEST = 10_000
"""Most characters of a whole command."""
_PLACE = ("command",)
_SIMPLE = re.compile(r"[\w@%+=:,./{}-]+", re.ASCII)
"""An argument that is written without quotes."""


class Part(NamedTuple):
    """A text of an argument, and the field whose value follows it, "" for none."""

    text: str
    field: str


class Command(NamedTuple):
    """A command: its arguments in parts, and as the sweep file has them, which is the trainer's name."""

    arguments: tuple[tuple[Part, ...], ...]
    text: str

    def fields(self) -> set[str]:
        """Return the fields that some argument shows."""
        return {part.field for argument in self.arguments for part in argument if part.field}

    def filled(self, values: Mapping[str, Any]) -> list[str]:
        """Return the arguments with `values` in them."""
        return [
            "".join(part.text + (spelled(values[part.field]) if part.field else "") for part in argument)
            for argument in self.arguments
        ]

    def code(self, folder: Path) -> str:
        """Return the hash of the files of `folder` that the arguments name, and of the Python files they import."""
        files = list(self._files(folder))
        return code_of(files, folder) if files else ""

    def missing(self, folder: Path) -> str:
        """Return the first argument that names a Python file which is not in `folder`, "" for none."""
        scripts = (word for word in self._fixed() if word.endswith(".py"))
        return next((word for word in scripts if not (folder / word).is_file()), "")

    def _files(self, folder: Path) -> Iterator[Path]:
        before = ""
        for word in self._fixed():
            path = folder / word
            if before == "-m":
                yield from files_of_module(word, [folder])
            elif word and not Path(word).is_absolute() and _is_file(path):
                yield path
            before = word

    def _fixed(self) -> Iterator[str]:
        """Yield each argument, "" for one with a placeholder."""
        for argument in self.arguments:
            yield "" if any(part.field for part in argument) else "".join(part.text for part in argument)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a text of thousands of characters is no path
        return False


def spelled(value: Any) -> str:
    """Return a field's value as an argument: as JSON spells it, and a text as it is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def read_command(given: Any) -> Command:
    """Return the command in a list of arguments, or in one text that is split as a shell would. Raises TrainerError."""
    words = _split(given) if isinstance(given, str) else given
    if not isinstance(words, list) or not 1 <= len(words) <= MOST_ARGUMENTS:
        raise TrainerError(
            f"command must be a list of 1 to {MOST_ARGUMENTS} arguments or one text, got {shown(given)}", _PLACE
        )
    texts = [str(word) if type(word) is int else word for word in words]
    for word in texts:
        if not isinstance(word, str):
            raise TrainerError(f"command has the argument {shown(word)}; write it in quotes", _PLACE)
        if "\0" in word or not word.isprintable():
            raise TrainerError(f"command has characters that can't be printed, in {shown(word)}", _PLACE)
    if not texts[0]:
        raise TrainerError("command begins with an empty argument; begin with the program", _PLACE)
    text = " ".join(word if _SIMPLE.fullmatch(word) else shlex.quote(word) for word in texts)
    if len(text) > LONGEST:
        raise TrainerError(f"command has {len(text)} characters; at most {LONGEST} are allowed", _PLACE)
    return Command(tuple(tuple(_parts(word)) for word in texts), text)


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise TrainerError(f"command can't be split into arguments ({error}), got {shown(text)}", _PLACE) from None


def _parts(word: str) -> Iterator[Part]:
    hint = "write {name} for a field, and {{ or }} for a brace"
    try:
        found = list(string.Formatter().parse(word))
    except ValueError:
        raise TrainerError(f"command has a single brace in {shown(word)}; {hint}", _PLACE) from None
    for text, field, form, conversion in found:
        if field is not None and not field.isidentifier():
            raise TrainerError(f"command has the placeholder {shown('{' + field + '}')}; {hint}", _PLACE)
        if form or conversion:
            raise TrainerError(
                f"command rounds or converts {{{field}}} in {shown(word)}; a program is given each value as it is in "
                "the trial's identity",
                _PLACE,
            )
        yield Part(text, field or "")


def check_fields(command: Command, names: Sequence[str], length: str | None) -> None:
    """Raise TrainerError unless the placeholders of `command` are its fields, except for the length.

    A program that never sees a field would give the same results for all its values; so the seed must be among the
    placeholders, too. The length need not be, because sweeper stops the program there.
    """
    for field in sorted(command.fields()):
        if field not in names:
            raise TrainerError(
                f"command has the placeholder {{{field}}}, which is no field; fields are {', '.join(names)}", _PLACE
            )
    for field in names:
        if field not in command.fields() and field != length:
            what = "all seeds of a cell would be the same training" if field == "seed" else "its value has no effect"
            raise TrainerError(f"command has no placeholder {{{field}}}, so that {what}; add it", _PLACE)
