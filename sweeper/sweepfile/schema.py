"""The JSON schema of sweep files, for editors: built from the forms and the config, with a sentence for each key.

An editor completes keys and values by it and marks what has a wrong name or type. What keys mean together is checked in
`sweeper.sweepfile.sweep` and in `planning`.
"""

from collections.abc import Mapping
from typing import Any

from sweeper.sweepfile.axes import FIELDS
from sweeper.sweepfile.form import MOST_SEEDS, SweepForm
from trainers.maml import protocols
from trainers.maml.config import TrialConfig

SCHEMA_FILE = "sweep.schema.json"
"""The name of the schema's file, in the folder of the sweep files that name it in their first line."""

Schema = dict[str, Any]

_READING = {
    "metric": "what is measured: an accuracy of evaluations, or a number that probes measure",
    "head": "the head with which evaluation begins to adapt; no default",
    "steps": "number of inner steps before the score, or inner_steps for as many as the trial trained with",
    "at": "last, or a list of outer steps",
    "window": "how many evaluations are averaged; the last one is at `at` or the last before it",
}
_KEYS: Mapping[str, Mapping[str, str]] = {
    "SweepForm": {
        "version": "always 1",
        "name": "name of the experiment: 1 to 64 of a-z, 0-9, _ and -",
        "question": "one sentence; the report opens with it",
        "paper": "the figure or table of the paper that the sweep is about",
        "fixed": "values that all trials share: config fields, and use for a protocol",
        "matrix": "the axes of the grid, in the order of tables; the grid is their product",
        "exclude": "cells that are left out of the grid: each entry names labels of axes or values of fields",
        "seeds": "a count from 1, or a list of seeds",
        "profiles": "named variants of the grid, chosen with --profile",
        "endpoint": "the number that answers the question, declared before the sweep runs",
        "claims": "what is expected: sentences, each with the contrast that tests it",
        "report": "tables and figures of the report",
    },
    "ProfileForm": {
        "fixed": "values that are stronger than everything else",
        "matrix": "values of an axis: names for named values, old or new values for a plain axis",
        "seeds": "seeds of this profile: a count from 1, or a list",
    },
    "EndpointForm": _READING,
    "ClaimForm": {
        "says": "the sentence",
        "source": "where the sentence comes from",
        "kind": "effect: the contrast has a sign; equivalence: it does not matter; interaction: two contrasts differ",
        "of": "labels of axes (and what is read, if not the endpoint) of the first side",
        "minus": "labels of axes (and what is read, if not the endpoint) of the side that is subtracted",
        "where": "labels that both sides share",
        "between": "for an interaction: two mappings of labels, the cells between which the contrast differs",
        "reference": "for an equivalence: labels of the published contrast that sets the margin",
        "expected": "the sign that is expected; not for an equivalence",
        "primary": "false for all claims but the few that the sweep is made for",
    },
    "ReportForm": {"tables": "tables over the axes", "figures": "figures over the axes"},
    "TableForm": {
        **_READING,
        "rows": "axes down the side",
        "columns": "the axis across the top",
    },
    "FigureForm": {
        **_READING,
        "kind": "what the figure draws",
        "x": "the axis on the abscissa, if the kind has one",
        "hue": "the axis with one line for each value",
        "facets": "the axes with one panel for each combination of values",
    },
}
_SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}
_NUMBERS: Schema = {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}
_STEPS: Schema = {"anyOf": [{"type": "integer", "minimum": 0}, {"const": "inner_steps"}]}
_AT: Schema = {
    "anyOf": [{"const": "last"}, {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1}]
}
_SEEDS: Schema = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": MOST_SEEDS},
        {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "uniqueItems": True},
    ]
}
_AXES: Schema = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_SHAPES: Mapping[str, Schema] = {"steps": _STEPS, "at": _AT, "seeds": _SEEDS, "facets": _AXES}
"""Keys whose values a validator checks, which pydantic can't describe."""


def schema() -> Schema:
    """Return the JSON schema (draft 2020-12) of a sweep file."""
    whole = SweepForm.model_json_schema()
    inner: dict[str, Schema] = whole.pop("$defs")
    forms = {name: _form(name, facts) for name, facts in {"SweepForm": whole, **inner}.items()}
    top = forms.pop("SweepForm")
    settings = {"$ref": "#/$defs/settings"}
    top["properties"]["fixed"] |= settings
    top["properties"]["matrix"] |= _matrix({"type": "object", "minProperties": 1, "additionalProperties": settings})
    forms["ProfileForm"]["properties"]["fixed"] |= settings
    forms["ProfileForm"]["properties"]["matrix"] |= _matrix({"type": "array", "items": _SCALAR, "minItems": 1})
    top["properties"]["exclude"]["items"] = {"type": "object", "minProperties": 1, "additionalProperties": _SCALAR}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A sweep file of sweeper"}
    return head | top | {"$defs": forms | {"fields": {"properties": _fields()}, "settings": _settings()}}


def _form(name: str, facts: Schema) -> Schema:
    """Return a form with a sentence for each key, and without the titles that pydantic makes up."""
    properties = {}
    for key, given in facts["properties"].items():
        value = {what: one for what, one in given.items() if what not in ("title", "default")}
        properties[key] = value | _SHAPES.get(key, {}) | {"description": _KEYS[name][key]}
    kept = {what: facts[what] for what in ("type", "additionalProperties", "required") if what in facts}
    return kept | {"properties": properties}


def _settings() -> Schema:
    """Return the form of values that trials share: any config field, and `use`."""
    use = {"enum": list(protocols.names()), "description": "a protocol: a set of values that ships with the trainer"}
    fields = {name: {"$ref": f"#/$defs/fields/properties/{name}"} for name in FIELDS}
    return {"type": "object", "additionalProperties": False, "properties": {"use": use, **fields}}


def _fields() -> dict[str, Schema]:
    described = TrialConfig.model_json_schema()["properties"]
    fields = {name: {what: one for what, one in described[name].items() if what != "title"} for name in FIELDS}
    fields["dataset"].setdefault("description", "the data set")
    return fields


def _matrix(named: Schema) -> Schema:
    """Return the form of axes: a list of a field's values, what generates numbers, or else `named`."""
    fields = _fields()
    plain: dict[str, Schema] = {}
    for name in (name for name in FIELDS if name != "outer_steps"):
        values = {"type": "array", "items": {"$ref": f"#/$defs/fields/properties/{name}"}, "minItems": 1}
        ways = [values, *([_GENERATOR] if _has_numbers(fields[name]) else [])]
        plain[name] = {"anyOf": ways, "description": fields[name]["description"]}
    return {
        "properties": plain | {name: {"not": {}, "description": why} for name, why in _NO_AXES.items()},
        "additionalProperties": named,
    }


_NO_AXES = {
    "outer_steps": "can't be an axis, since a longer run continues the same trial; list outer steps in endpoint.at",
    "use": "can't be a plain axis; name protocols in the named values of an axis",
    "seed": "can't be an axis; give seeds",
}
_GENERATOR: Schema = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "properties": {
        "range": {**_NUMBERS, "description": "first, last, step; both ends are included"},
        "linspace": {**_NUMBERS, "description": "first, last, how many"},
        "logspace": {**_NUMBERS, "description": "first, last, how many; both ends above 0"},
    },
}


def _has_numbers(field: Schema) -> bool:
    kinds = {choice.get("type") for choice in (field, *field.get("anyOf", ()))}
    return not kinds.isdisjoint(("integer", "number"))
