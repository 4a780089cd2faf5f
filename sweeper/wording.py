"""Pydantic's findings in the words of a sweep file: what was wrong, the value, and what is allowed."""

from typing import Any

from sweeper.errors import shown, suggest

_MUST_BE = {
    "missing": "required and not given",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "list_type": "must be a list",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "finite_number": "must be finite",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "must be 1 to 64 of a-z, 0-9, _ and -",
}


def wording(details: dict[str, Any]) -> str:
    """Return the message of one entry of `ValidationError.errors()`, without the place it is about."""
    kind = details["type"]
    if kind == "value_error":
        return str(details["ctx"]["error"])
    if kind not in _MUST_BE:  # pydantic has many more kinds than sweep files bring up
        return f"{details['msg']}, got {shown(details['input'])}"
    must = _MUST_BE[kind].format(**details.get("ctx", {}))
    if kind == "missing":
        return must
    message = f"{must}, got {shown(details['input'])}"
    if kind == "literal_error":
        allowed = [option.strip("'") for option in details["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        nearest = suggest(str(details["input"]), allowed)
        return f"{message}; {nearest}" if nearest.startswith("did") and len(allowed) > 1 else message
    return message
