"""Reads YAML 1.2 strictly into plain values, with the line and column of every key and value.

Refuses what would give a file another meaning than a reader sees: duplicate keys, anchors and aliases, tags, several
documents, other YAML versions. Knows nothing about sweeps.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.nodes import ScalarNode

from sweeper.errors import Position, Problem, SweepFileError, shown
from sweeper.sweepfile.yaml_syntax import OTHER_VERSION, REFUSALS, one_line, position_of, syntax_problem
from trainers.regular_file import require_regular

Scalar = bool | int | float | str | None
Place = tuple[str | int, ...]
"""The path from the top of a document to a value: keys of mappings and indices of lists."""

NO_ANCHORS = "anchors and aliases (& and *) are not used here; write the value out"
LARGEST_FILE = 1_000_000  # bytes
DEEPEST = 12  # nested mappings and lists
LARGEST_INT = 2**63 - 1
_HALVES = re.compile("[\ud800-\udfff]")  # surrogates: halves of a character, which can't be encoded

_START = Position(1, 1)
_PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float")}


@dataclass(frozen=True, kw_only=True)
class Document:
    """One YAML document: `value` consists of dict (keys are text), list and Scalar; every Place in it has a position.

    `problems` are faults that don't stop the reading (duplicate keys, aliases, tags).
    """

    path: Path
    text: str
    value: Any
    keys: dict[Place, Position]
    values: dict[Place, Position]
    problems: tuple[Problem, ...]

    def at(self, place: Place) -> Position:
        """Return where the value at `place` begins, or the nearest enclosing value that exists."""
        while place not in self.values:
            place = place[:-1]
        return self.values[place]

    def key_at(self, place: Place) -> Position:
        """Return the position of the key that leads to `place`, or of the nearest enclosing value that exists."""
        while place not in self.keys and place not in self.values:
            place = place[:-1]
        return self.keys.get(place) or self.values[place]


class Faults:
    """Collects what is wrong with a document, so that everything is reported at once."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems = list(document.problems)
        self._refused = {problem.position for problem in document.problems}

    def add(self, place: Place, message: str, *, at_key: bool = False) -> None:
        """Note `message` about `place`, at its value or, with `at_key`, at the key that leads to it.

        A value that the document itself refused is a stand-in, so nothing more is noted about it.
        """
        position = self.document.key_at(place) if at_key else self.document.at(place)
        if place and position in self._refused:
            return
        self.problems.append(Problem(position, f"{spelled(place)}: {message}" if place else message))

    def raise_if_any_of(self, found: object) -> None:
        """Raise SweepFileError if `found` is None: nothing more can be checked without it."""
        if found is None:
            self.raise_if_any()

    def raise_if_any(self) -> None:
        """Raise SweepFileError when anything was noted."""
        if self.problems:
            raise SweepFileError(self.document.path, self.problems)


def spelled(place: Place) -> str:
    """Return `place` as messages write it: `profiles.smoke.matrix.task[0]`."""
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{one_line(step)}"
    return text.removeprefix(".")


def read(path: Path) -> Document:
    """Return the one document of the file at `path`.

    Raises SweepFileError for a file that is missing, unreadable, too large, empty, not UTF-8 or not YAML.
    """
    return read_text(path, _text(path))


def read_text(path: Path, text: str) -> Document:
    """Return the one document in `text`; errors name `path`. Raises SweepFileError for what is not YAML."""
    reader = _Reader(path, text)
    try:
        value = reader.document()
    except REFUSALS as error:
        raise SweepFileError(path, [syntax_problem(error, text, reader.reached)]) from None
    return Document(
        path=path, text=text, value=value, keys=reader.keys, values=reader.values, problems=tuple(reader.problems)
    )


def _text(path: Path) -> str:
    try:
        require_regular(path)
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise _unreadable(path, "no such file") from None
    except OSError as error:
        raise _unreadable(path, f"can't be read: {error.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise _unreadable(path, f"larger than {LARGEST_FILE:,} bytes; a sweep file is a few kilobytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        lines = content[: error.start].split(b"\n")
        where = Position(len(lines), len(lines[-1]) + 1)
        message = f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise SweepFileError(path, [Problem(where, message)]) from None
    return text


def _unreadable(path: Path, message: str) -> SweepFileError:
    return SweepFileError(path, [Problem(_START, message)])


class _Reader:
    """Turns the event stream into values; problems that don't stop the parser collect in `problems`."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.keys: dict[Place, Position] = {}
        self.values: dict[Place, Position] = {}
        self.problems: list[Problem] = []
        self._text = text
        # Not the parser's own, whose rules for scalars follow a %YAML line in the file.
        self._scalars = YAML(typ="safe", pure=True)
        self.reached = _START  # the end of the last event; some errors of the parser have no position

    def _events(self) -> Iterator[Event]:
        for event in YAML(typ="safe", pure=True).parse(self._text):
            self.reached = position_of(event.end_mark)
            yield event

    def document(self) -> Any:
        events = self._events()
        starts = (event for event in events if isinstance(event, DocumentStartEvent))
        start = next(starts, None)
        if start is None:
            raise SweepFileError(self.path, [Problem(_START, "empty; a sweep file begins with version: 1")])
        if start.version not in (None, (1, 2)):
            self._complain(start, OTHER_VERSION)
        value = self._value(next(events), events, ())
        second = next(starts, None)
        if second is not None:
            self._complain(second, "a second document; a file holds one sweep")
        return value

    def _complain(self, event: Event, message: str) -> None:
        self.problems.append(Problem(position_of(event.start_mark), message))

    def _value(self, event: Event, events: Iterator[Event], place: Place) -> Any:
        blank = isinstance(event, ScalarEvent) and event.start_mark.index == event.end_mark.index
        # The parser places an empty value where the next token begins, which may be lines below its key.
        self.values[place] = self.keys[place] if blank and place in self.keys else position_of(event.start_mark)
        if isinstance(event, AliasEvent):
            self._complain(event, NO_ANCHORS)
            return None
        assert isinstance(event, ScalarEvent | CollectionStartEvent)  # nothing else begins a value
        if event.anchor is not None:
            self._complain(event, NO_ANCHORS)
        if event.tag is not None:
            self._complain(event, f"tag {one_line(str(event.tag))}: tags are not used here; remove it")
        if len(place) > DEEPEST:
            problem = Problem(
                position_of(event.start_mark), f"nested deeper than {DEEPEST} levels; a sweep file needs fewer"
            )
            raise SweepFileError(self.path, [*self.problems, problem])
        if isinstance(event, MappingStartEvent):
            return self._mapping(events, place)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(events, place)
        assert isinstance(event, ScalarEvent)
        return self._scalar(event)

    def _mapping(self, events: Iterator[Event], place: Place) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            key = self._key(event, events, place)
            inside = (*place, key)
            if key in mapping:
                first = self.keys[inside].line
                self._complain(event, f"{spelled(inside)}: duplicate key, first given on line {first}; keep one")
            self.keys.setdefault(inside, position_of(event.start_mark))
            value = self._value(next(events), events, inside)
            mapping.setdefault(key, value)
        return mapping

    def _key(self, event: Event, events: Iterator[Event], place: Place) -> str:
        if isinstance(event, ScalarEvent):
            if event.anchor is not None:
                self._complain(event, NO_ANCHORS)
            if event.value == "<<" and event.style is None:
                self._complain(event, "merge keys (<<) are not used here; write the fields out")
            return self._text_of(event)
        self._complain(event, "a key must be plain text")
        self._value(event, events, (*place, "?"))
        return "?"

    def _text_of(self, event: ScalarEvent) -> str:
        if event.value.isascii() or not _HALVES.search(event.value):
            return event.value
        self._complain(event, "an escape from \\ud800 to \\udfff is half a character; write the character itself")
        return _HALVES.sub("?", event.value)

    def _sequence(self, events: Iterator[Event], place: Place) -> list[Any]:
        sequence: list[Any] = []
        while not isinstance(event := next(events), SequenceEndEvent):
            sequence.append(self._value(event, events, (*place, len(sequence))))
        return sequence

    def _scalar(self, event: ScalarEvent) -> Scalar:
        implicit = event.implicit if event.tag is None else (True, False)  # ignore a refused tag
        tag = str(self._scalars.resolver.resolve(ScalarNode, event.value, implicit))
        if tag not in _PLAIN_TAGS:
            return self._text_of(event)  # YAML 1.2 has no dates and no `=`; ruamel resolves both
        if "_" in event.value:
            return event.value  # YAML 1.2 has no 1_000
        node = ScalarNode(tag, event.value, event.start_mark, event.end_mark)
        try:
            value = self._scalars.constructor.construct_object(node, deep=True)
        except ValueError:  # thousands of digits
            value = LARGEST_INT + 1
        if isinstance(value, int) and abs(value) > LARGEST_INT:
            self._complain(event, f"{shown(event.value)}: a whole number beyond 64 bits, at most {LARGEST_INT}")
            return 1  # a stand-in, so that the rest can be checked
        return value
