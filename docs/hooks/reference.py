"""A hook of MkDocs: writes the reference of commands and of config fields from the code that they describe.

A page asks for it by a line of its own, `<!-- reference: commands -->`, or with fields, protocols or protonet in the
place of commands. Reads click's commands and pydantic's schema alone; holds no text about any of them.
"""

import inspect
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from sweeper.cli import main
from trainers.maml import protocols
from trainers.maml.config import TrialConfig
from trainers.protonet.config import ProtonetConfig

_MARKER = re.compile(r"^<!-- reference: (\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put each reference that the page asks for in the place of its marker."""
    return _MARKER.sub(lambda marker: _REFERENCES[marker[1]](), markdown)


def commands() -> str:
    """Return a section for each command: usage, help, and every argument's and option's own help."""
    return "\n".join(_command(main, click.Context(main, info_name="sweeper", **main.context_settings)))


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    if context.parent:
        yield f"## {context.command_path}\n"
    usage = command.get_usage(context).removeprefix("Usage: ")
    yield f"```text\n{' '.join(usage.split())}\n```\n"
    yield from map(_paragraph, inspect.cleandoc(command.help or "").split("\n\n"))
    records = (parameter.get_help_record(context) for parameter in command.get_params(context))
    for names, text in filter(None, records):
        if text:
            yield f"`{names}`\n:   {_escaped(text)}\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _command(inner, click.Context(inner, parent=context, info_name=name))


def _paragraph(text: str) -> str:
    title, _, rest = text.removeprefix("\b\n").partition("\n")  # click's mark of lines that stay as they are
    if title == "Example:":
        return f"{title}\n\n```text\n{inspect.cleandoc(rest)}\n```\n"
    return f"{_escaped(f'{title} {rest}')}\n"


def _escaped(text: str) -> str:
    return re.sub(r"([*_<>\[\]])", r"\\\1", text)


def fields() -> str:
    """Return a section for each field of a MAML trial's config: kind and bounds, default, description."""
    schema = TrialConfig.model_json_schema()["properties"]
    return "\n".join(_field(name, facts) for name, facts in schema.items())


def protonet_fields() -> str:
    """Return a table of the fields of a prototypical network's config."""
    lines = ["| field | kind | default | |", "|---|---|---|---|"]
    for name, facts in ProtonetConfig.model_json_schema()["properties"].items():
        default = f"`{_yaml(facts['default'])}`" if "default" in facts else "required"
        lines.append(f"| `{name}` | {_kind(facts)} | {default} | {facts['description']} |")
    return "\n".join(lines)


def _field(name: str, facts: dict[str, Any]) -> str:
    default = f"default `{_yaml(facts['default'])}`" if "default" in facts else "required"
    description = facts.get("description", "the [data set](data.md)")
    sentence = description[0].upper() + description[1:]
    return f"### `{name}` {{#{name}}}\n\n{_kind(facts)}; {default}\n\n{sentence}.\n"


def _kind(facts: dict[str, Any]) -> str:
    if "anyOf" in facts:
        return " or ".join(_kind(choice) for choice in facts["anyOf"])
    if "enum" in facts:
        return "one of " + ", ".join(f"`{_yaml(choice)}`" for choice in facts["enum"])
    kind = {"integer": "whole number", "number": "number", "boolean": "`true` or `false`", "string": "text"}
    words = {"minimum": "from", "exclusiveMinimum": "above", "maxLength": "at most this long:", "maximum": "to"}
    bounds = [f"{word} {facts[bound]}" for bound, word in words.items() if bound in facts]
    return " ".join([kind.get(facts["type"], "`null`"), *bounds])


def _yaml(value: object) -> str:
    return value or "''" if isinstance(value, str) else json.dumps(value)


def protocol_table() -> str:
    """Return a table of what each protocol sets; an empty cell is the field's default."""
    given = {name: protocols.load(name) for name in protocols.names()}
    lines = ["| field | " + " | ".join(f"`{name}`" for name in given) + " |", "|---|" + "---|" * len(given)]
    for field in TrialConfig.model_fields:
        if any(field in values for values in given.values()):
            cells = [f"`{_yaml(values[field])}`" if field in values else "" for values in given.values()]
            lines.append(f"| [`{field}`](#{field}) | " + " | ".join(cells) + " |")
    return "\n".join(lines)


_REFERENCES: dict[str, Callable[[], str]] = {
    "commands": commands,
    "fields": fields,
    "protocols": protocol_table,
    "protonet": protonet_fields,
}
