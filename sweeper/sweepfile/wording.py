"""Pydantic's errors in the words of a sweep file: what was wrong, the value, and what is allowed.

Checks nothing itself.
"""

import re
from typing import Any

from pydantic_core import ErrorDetails

from sweeper.errors import shown, suggest
from trainers.data.known_name import how_to_add

_MUST_BE = {
    "missing": "required and not given",
    "dict_type": "must be a mapping (key: value)",
    "model_type": "must be a mapping (key: value)",
    "list_type": "must be a list",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "finite_number": "must be finite",
    "greater_than_equal": "must be at least {ge:g}",
    "greater_than": "must be more than {gt:g}",
    "literal_error": "must be {expected}",
    "unknown_dataset": "must be {expected}",
    "string_pattern_mismatch": "must be 1 to 64 of a-z, 0-9, _ and -",
}


_NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?")


def wording(details: ErrorDetails, *, nullable: bool = False) -> str:
    """Return the message of one entry of `ValidationError.errors()`, without its place.

    `nullable`: null is allowed too, which pydantic doesn't mention.
    """
    kind = details["type"]
    if kind == "value_error":
        return str(details["ctx"]["error"])
    if kind == "damaged_dataset":
        return details["msg"]
    if kind not in _MUST_BE:  # a kind that sweep files hardly ever cause
        return f"{details['msg']}, got {shown(details['input'])}"
    must = _MUST_BE[kind].format(**details.get("ctx", {}))
    if nullable:
        must = f"{must.replace(' or ', ', ')} or null"
    if kind == "missing":
        return must
    hint = _hint(kind, details["input"], details.get("ctx", {}))
    return f"{must}, got {shown(details['input'])}" + (f"; {hint}" if hint else "")


def _hint(kind: str, given: Any, limits: dict[str, Any]) -> str:
    """Return what to do about `given`, or "" if the message already says it."""
    match kind, given:
        case "literal_error", str():
            return _nearest(given, limits["expected"])
        case "unknown_dataset", str():
            return _nearest(given, limits["expected"]) or how_to_add(given)
        case (("int_type" | "float_type"), str()) if _NUMBER.fullmatch(given):
            return "remove the quotes"
        case "string_type", bool() | int() | float():
            return "put it in quotes"
        case "list_type", str() | int() | float():
            return f"write [{given}]" if len(str(given)) <= 40 else "put it in brackets"
        case "list_type", dict() if any(key.startswith("-") for key in given):
            return "put a space after the dash that begins an entry"
        case "list_type", dict():
            return "put it in brackets"
        case "list_type", None:
            return "write [] for an empty list"
        case (("dict_type" | "model_type"), None):
            return "write {} for an empty mapping"
    return ""


def _nearest(given: str, expected: str) -> str:
    if given == expected:  # an allowed number, but in quotes
        return "remove the quotes"
    allowed = [option.strip("'") for option in expected.replace(" or ", ", ").split(", ")]
    if len(allowed) == 1 or sum(given in option for option in allowed) > 1:
        return ""  # no choice, or several are equally near
    nearest = suggest(given, allowed)
    return nearest if nearest.startswith("did") else ""
