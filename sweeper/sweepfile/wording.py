"""Pydantic's findings in the words of a sweep file: what was wrong, the value, and what is allowed."""

import re
from typing import Any

from pydantic_core import ErrorDetails

from sweeper.errors import shown, suggest

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
    "string_pattern_mismatch": "must be 1 to 64 of a-z, 0-9, _ and -",
}


_NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?")


def wording(details: ErrorDetails, *, nullable: bool = False) -> str:
    """Return the message of one entry of `ValidationError.errors()`, without the place it is about.

    `nullable`: null is allowed as well, which pydantic doesn't mention.
    """
    kind = details["type"]
    if kind == "value_error":
        return str(details["ctx"]["error"])
    if kind not in _MUST_BE:  # pydantic has many more kinds than sweep files bring up
        return f"{details['msg']}, got {shown(details['input'])}"
    must = _MUST_BE[kind].format(**details.get("ctx", {}))
    if nullable:
        must = f"{must.replace(' or ', ', ')} or null"
    if kind == "missing":
        return must
    hint = _hint(kind, details["input"], details.get("ctx", {}))
    return f"{must}, got {shown(details['input'])}" + (f"; {hint}" if hint else "")


def _hint(kind: str, given: Any, limits: dict[str, Any]) -> str:
    """Return what to do about `given`, or nothing where the rule itself says it."""
    match kind, given:
        case "literal_error", str():
            return _nearest(given, limits["expected"])
        case (("int_type" | "float_type"), str()) if _NUMBER.fullmatch(given):
            return "remove the quotes"
        case "string_type", bool() | int() | float():
            return "put it in quotes"
        case "list_type", str() | int() | float():
            return f"write [{given}]" if len(str(given)) <= 40 else "put it in brackets"
        case "list_type", dict() if any(key.startswith("-") for key in given):
            return "a dash that begins an entry has a space after it"
        case "list_type", dict():
            return "put it in brackets"
        case "list_type", None:
            return "an empty one is []"
        case (("dict_type" | "model_type"), None):
            return "an empty one is {}"
    return ""


def _nearest(given: str, expected: str) -> str:
    if given == expected:  # a number that was asked for, in quotes
        return "remove the quotes"
    allowed = [option.strip("'") for option in expected.replace(" or ", ", ").split(", ")]
    if len(allowed) == 1 or sum(given in option for option in allowed) > 1:
        return ""  # nothing to choose, or as near to one as to the other
    nearest = suggest(given, allowed)
    return nearest if nearest.startswith("did") else ""
