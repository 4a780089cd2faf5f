"""The JSON schema of sweep files, for editors: built from the forms and the config, with a sentence for each key.

An editor completes keys and values by it and marks what has a wrong name or type. What keys mean together is checked in
`sweeper.sweepfile.sweep` and in `planning`.
"""

from collections.abc import Mapping
from typing import Any

from analysis.contract.question import BEST_VAL
from sweeper.sweepfile.fields import Fields
from sweeper.sweepfile.form import MOST_SEEDS, SweepForm
from sweeper.sweepfile.search_key import SAMPLERS
from trainers.registry import find
from trainers.trainer import DEFAULT, WHOLE, Reference

SCHEMA_FILE = "sweep.schema.json"
"""The name of the schema's file, in the folder of the sweep files that name it in their first line."""

Schema = dict[str, Any]

_READING = {
    "metric": "what is measured: a metric of the trainer",
    "head": "the head with which evaluation begins to adapt; no default",
    "steps": "number of inner steps before the score, or inner_steps for as many as the trial trained with",
    "at": "last, best val (where validation is best), or a list of outer steps",
    "window": "how many evaluations are averaged; the last one is at `at` or the last before it",
    "trainers": "where the values of an axis choose trainers: metric and coordinates for each of them, by its name",
}
_TRAINER = "what trains a trial: a name, package.module:OBJECT, file.py:OBJECT, or a mapping with command"
_KEYS: Mapping[str, Mapping[str, str]] = {
    "SweepForm": {
        "version": "always 1",
        "name": "name of the experiment: 1 to 64 of a-z, 0-9, _ and -",
        "question": "one sentence; the report opens with it",
        "trainer": _TRAINER,
        "paper": "the figure or table of the paper that the sweep is about",
        "fixed": "values that all trials share: config fields, and use for a protocol",
        "matrix": "the axes of the grid, in the order of tables; the grid is their product",
        "when": "axes that apply only with certain labels of others: AXIS: {OTHER: label, or a list of labels}",
        "include": "single cells beside the grid: each entry has a value of every axis",
        "exclude": "cells that are left out of the grid: each entry names labels of axes or values of fields",
        "seeds": "a count from 1, or a list of seeds",
        "profiles": "named variants of the grid, chosen with --profile",
        "endpoint": "the number that answers the question, declared before the sweep runs",
        "claims": "what is expected: sentences, each with the contrast that tests it",
        "report": "tables and figures of the report",
        "search": "the fields that are searched instead of listed, and how; then endpoint is left out",
    },
    "SearchForm": {
        "space": "the dimensions: a field with log, uniform, int or choice, or named values that each set some fields",
        "sampler": "random, sobol, tpe or gp; or a mapping with its name and options",
        "trials": "how many points each search proposes; may grow later",
        "metric": "what trials are compared by; no default, and never a test metric",
        "rungs": "the lengths at which trials are compared; without it, each is trained to its full length",
        "confirm": "the best trials are trained again, with fresh seeds",
    },
    "SearchMetricForm": {
        "name": "a metric of the trainer, with or without its split",
        "split": "the split that it is measured on, such as val",
        "better": "higher or lower, for a metric that does not say it itself",
        "trainers": "where the values of an axis choose trainers: name, split and coordinates for each, by its name",
    },
    "OneMetricForm": {
        "name": "a metric of this trainer, with or without its split",
        "split": "the split that it is measured on, such as val",
    },
    "RungsForm": {
        "first": "the length of every trial",
        "factor": "the best 1/factor of a rung go on to a length that is this many times as large",
        "last": "the length of the best trials, at most that of the trainer's config",
    },
    "ConfirmForm": {
        "best": "how many of the best trials are trained again",
        "seeds": "how many fresh seeds each of them gets",
        "on": "the split that they are measured on, such as test",
    },
    "ProfileForm": {
        "fixed": "values that are stronger than everything else",
        "matrix": "values of an axis: names for named values, old or new values for a plain axis",
        "include": "single cells beside the grid of this profile; those of the whole grid are not in it",
        "seeds": "seeds of this profile: a count from 1, or a list",
        "slurm": "options of sbatch for `run --executor slurm`, such as partition, time, gpus, cpus and mem",
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
        "margin": "for an equivalence: the largest difference that does not matter, as measured (0.01 is 1 %)",
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
_ANY_SETTINGS: Schema = {"type": "object", "additionalProperties": _SCALAR}
_ANY_CHOSEN: Schema = {
    "type": "object",
    "properties": {"trainer": {"description": _TRAINER}},
    "additionalProperties": _SCALAR,
}
_LABELS: Schema = {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "minItems": 1}]}
_CONDITION: Schema = {"type": "object", "minProperties": 1, "additionalProperties": _LABELS}
_NEW_VALUE: Schema = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": _ANY_SETTINGS}
_CELL: Schema = {"type": "object", "minProperties": 1, "additionalProperties": {"anyOf": [_SCALAR, _NEW_VALUE]}}
_CELLS: Schema = {"type": "array", "items": _CELL}
_WITH_TRAINER: Schema = {"type": "object", "required": ["trainer"]}


def _some_property(of: Schema) -> Schema:
    """Return the form of a mapping that has some value of the form `of`."""
    return {"type": "object", "not": {"additionalProperties": {"not": of}}}


_CHOOSING: Schema = {
    "required": ["matrix"],
    "properties": {
        "matrix": _some_property(_some_property(_WITH_TRAINER)) | {"description": "axes, one of which chooses trainers"}
    },
}
"""A file in which some value of an axis chooses its trainer."""
_STEPS: Schema = {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1}
_AT: Schema = {"anyOf": [{"enum": ["last", BEST_VAL]}, _STEPS]}
_SEEDS: Schema = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": MOST_SEEDS},
        {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "uniqueItems": True},
    ]
}
_AXES: Schema = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_SAMPLER: Schema = {
    "anyOf": [
        {"enum": list(SAMPLERS)},
        {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"enum": list(SAMPLERS), "description": "the sampler"}},
        },
    ]
}
_SHAPES: Mapping[str, Schema] = {"at": _AT, "seeds": _SEEDS, "facets": _AXES, "sampler": _SAMPLER}
"""Keys whose values a validator checks, which pydantic can't describe."""


def schema() -> Schema:
    """Return the JSON schema (draft 2020-12) of a sweep file.

    A file for the default trainer is checked down to its fields. For another trainer the schema knows no fields.
    """
    fields = Fields(find(Reference(DEFAULT, "")))
    own, own_forms = _whole(fields)
    other, other_forms = _whole(None)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A sweep file of sweeper"}
    named = {"required": ["trainer"], "properties": {"trainer": {"not": {"const": DEFAULT}, "description": _TRAINER}}}
    settings = _settings(fields)
    chosen = settings | {"properties": {"trainer": {"description": _TRAINER}} | settings["properties"]}
    described = {"fields": {"properties": _fields(fields)}, "settings": settings, "chosen": chosen}
    return head | {
        "if": {"anyOf": [named, _CHOOSING]},
        "then": other,
        "else": own,
        "$defs": own_forms | other_forms | described,
    }


def _whole(fields: Fields | None) -> tuple[Schema, dict[str, Schema]]:
    """Return the form of a file and its inner forms by name, for the trainer with these fields or for any trainer."""
    whole = SweepForm.model_json_schema(ref_template=f"#/$defs/{'' if fields else 'Any'}{{model}}")
    inner: dict[str, Schema] = whole.pop("$defs")
    forms = {name: _form(name, facts, fields) for name, facts in {"SweepForm": whole, **inner}.items()}
    top = forms.pop("SweepForm")
    settings = {"$ref": "#/$defs/settings"} if fields else _ANY_SETTINGS
    chosen = {"$ref": "#/$defs/chosen"} if fields else _ANY_CHOSEN
    profile = forms["ProfileForm"]["properties"]
    top["required"].remove("endpoint")
    top["anyOf"] = [{"required": ["endpoint"]}, {"required": ["search"]}]
    top["properties"]["fixed"] |= settings
    top["properties"]["matrix"] |= _matrix(
        {"type": "object", "minProperties": 1, "additionalProperties": chosen}, fields
    )
    profile["fixed"] |= settings
    profile["matrix"] |= _matrix({"type": "array", "items": _SCALAR, "minItems": 1}, fields)
    top["properties"]["when"] |= {"additionalProperties": _CONDITION}
    top["properties"]["include"] |= _CELLS
    profile["include"] |= _CELLS
    top["properties"]["exclude"]["items"] = {"type": "object", "minProperties": 1, "additionalProperties": _SCALAR}
    return top, {f"{'' if fields else 'Any'}{name}": facts for name, facts in forms.items()}


def _form(name: str, facts: Schema, fields: Fields | None) -> Schema:
    """Return a form with a sentence for each key, and without the titles that pydantic makes up."""
    properties = {}
    for key, given in facts["properties"].items():
        value = {what: one for what, one in given.items() if what not in ("title", "default")}
        properties[key] = value | _SHAPES.get(key, {}) | {"description": _KEYS[name][key]}
    kept = {what: facts[what] for what in ("type", "additionalProperties", "required") if what in facts}
    if "window" in _KEYS[name] and fields is not None:  # a reading, not the metric of a search
        properties["metric"] |= {"enum": list(fields.trainer.metrics)}
        properties |= {key: _coordinate(fields, key) | {"description": _READING[key]} for key in fields.coordinates}
        kept["additionalProperties"] = False
    if fields is not None:
        properties.pop("trainers", None)  # one trainer measures all
    return kept | {"properties": properties}


def _coordinate(fields: Fields, name: str) -> Schema:
    """Return the form of one coordinate of the metrics."""
    of_metrics = [metric.coordinates[name] for metric in fields.trainer.metrics.values() if name in metric.coordinates]
    words = list(dict.fromkeys(word for allowed in of_metrics for word in allowed if word != WHOLE))
    if any(WHOLE in allowed for allowed in of_metrics):
        return {"anyOf": [{"type": "integer", "minimum": 0}, {"enum": words}]}
    return {"enum": words}


def _settings(fields: Fields) -> Schema:
    """Return the form of values that trials share: any config field, and `use`."""
    use = {"enum": list(fields.protocols), "description": "a protocol: a set of values that ships with the trainer"}
    named = {name: {"$ref": f"#/$defs/fields/properties/{name}"} for name in fields.names}
    return {"type": "object", "additionalProperties": False, "properties": {"use": use, **named}}


def _fields(fields: Fields) -> dict[str, Schema]:
    described = fields.trainer.config.model_json_schema()["properties"]
    named = {name: {what: one for what, one in described[name].items() if what != "title"} for name in fields.names}
    named["dataset"].setdefault("description", "the data set")
    return named


def _matrix(named: Schema, fields: Fields | None) -> Schema:
    """Return the form of axes: a list of a field's values, what generates numbers, or else `named`."""
    if fields is None:
        listed = {"type": "array", "items": _SCALAR, "minItems": 1}
        ways = [listed, _GENERATOR, *([named] if named["type"] == "object" else [])]
        return {"additionalProperties": {"anyOf": ways}}
    described = _fields(fields)
    plain: dict[str, Schema] = {}
    for name in (name for name in fields.names if name != fields.trainer.length):
        values = {"type": "array", "items": {"$ref": f"#/$defs/fields/properties/{name}"}, "minItems": 1}
        own = [values, *([_GENERATOR] if _has_numbers(described[name]) else [])]
        plain[name] = {"anyOf": own, "description": described[name]["description"]}
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
