"""The YAML parser's errors in a user's words: what is wrong, where it began, and what to do. Reads no files."""

import re
from collections.abc import Callable, Mapping

from ruamel.yaml.error import MarkedYAMLError, StreamMark, YAMLError
from ruamel.yaml.reader import ReaderError

from sweeper.errors import Position, Problem

REFUSALS = (YAMLError, NotImplementedError, ValueError, OverflowError, AssertionError)
"""What ruamel.yaml raises for text that is not YAML: %YAML 1.3 is an AssertionError, "\\UFFFFFFFF" an OverflowError."""

OTHER_VERSION = "another YAML version; sweep files are YAML 1.2, so leave %YAML out"
_CLOSING = {"]": "[", "}": "{"}


def one_line(text: str) -> str:
    """Return `text` on one line, without unprintable characters, cut at 120 characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:120]


def position_of(mark: StreamMark) -> Position:
    """Return the position of `mark`, counted from 1."""
    return Position(mark.line + 1, mark.column + 1)


def syntax_problem(error: Exception, text: str, reached: Position) -> Problem:
    """Return the problem that `error`, one of REFUSALS, reports in `text`, at the place to correct.

    `reached`: the end of the last event that could be read, for errors that have no position.
    """
    match error:
        case MarkedYAMLError():
            return _explained(error, reached)
        case ReaderError():
            lines = text[: error.position].split("\n")
            message = f"character U+{error.character:04X} is not allowed in YAML; remove it"
            return Problem(Position(len(lines), len(lines[-1]) + 1), message)
        case AssertionError():
            return Problem(reached, OTHER_VERSION)
        case ValueError() | OverflowError():
            return Problem(reached, "not YAML: an escape or a directive after this is invalid; correct it")
    return Problem(reached, f"not YAML: {one_line(str(error))}")


def _explained(error: MarkedYAMLError, reached: Position) -> Problem:
    mark = error.problem_mark or error.context_mark
    began = error.context_mark or mark
    at = position_of(mark) if mark else reached
    since = position_of(began) if began else at
    complaint = one_line(str(error.problem or error.context))
    for pattern, explain in _EXPLAINED.items():
        if match := re.search(pattern, complaint):
            return explain(match, at, since)
    return Problem(at, f"not YAML: {complaint}")


def _tab(match: re.Match[str], at: Position, since: Position) -> Problem:
    return Problem(at, "a tab; use spaces")


def _unclosed(match: re.Match[str], at: Position, since: Position) -> Problem:
    closing, token = match.groups()
    opened = f"the {_CLOSING[closing]} of line {since.line}, column {since.column}"
    before = "the file ends" if token == "<stream end>" else f"this {token}"
    return Problem(at, f"not YAML: {opened} needs its {closing}, or a comma, before {before}")


def _open_quote(match: re.Match[str], at: Position, since: Position) -> Problem:
    return Problem(since, "not YAML: this quote is never closed; close it")


def _colon(match: re.Match[str], at: Position, since: Position) -> Problem:
    return Problem(at, "not YAML: a second colon in one value; put text that holds a colon and a space in quotes")


def _no_key(match: re.Match[str], at: Position, since: Position) -> Problem:
    return Problem(
        since, "not YAML: a line of a mapping is `key: value`; its key, the colon or the space after it is missing"
    )


def _out_of_line(match: re.Match[str], at: Position, since: Position) -> Problem:
    begun = f"what began on line {since.line} is in column {since.column}"
    return Problem(at, f"not YAML: this is in column {at.column}, but {begun}; indent both equally")


def _reserved(match: re.Match[str], at: Position, since: Position) -> Problem:
    return Problem(at, f"not YAML: text can't begin with {match[1]}; put it in quotes")


def _escape(match: re.Match[str], at: Position, since: Position) -> Problem:
    return Problem(at, f"not YAML: unknown escape \\{match[1]}; write \\\\ for a backslash, or use single quotes")


def _no_value(match: re.Match[str], at: Position, since: Position) -> Problem:
    return Problem(at, f"not YAML: a value is missing before this {match[1]}")


_EXPLAINED: Mapping[str, Callable[[re.Match[str], Position, Position], Problem]] = {
    r"'\\t'": _tab,
    r"^expected ',' or '([\]}])', but got ('.+'|<stream end>)$": _unclosed,
    r"^found unexpected end of stream$": _open_quote,
    r"^mapping values are not allowed": _colon,
    r"^could not find expected ':'": _no_key,
    r"^expected <block end>, but found '(?:<block mapping start>|<block sequence start>|\?|-)'": _out_of_line,
    r"^found character '(.)' that cannot start any token": _reserved,
    r"^found unknown escape character '(.)'": _escape,
    r"^expected the node content, but found ('[,\]}:?]')": _no_value,
}
