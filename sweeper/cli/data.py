"""`sweeper data`: list the data sets, get one, and verify every image of them."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from sweeper.cli.options import data_root_option, json_option, with_errors_shown
from sweeper.cli.terminal.printing import hand_out, say
from trainers.data.archives import DataError
from trainers.data.catalog import DatasetName

if TYPE_CHECKING:
    from trainers.data.datasets import Description

NAMES: tuple[DatasetName, ...] = get_args(DatasetName)


@click.group()
def data() -> None:
    """List, get and verify the data sets.

    \b
    Example:
      sweeper data list
    """


@data.command("list")
@data_root_option
@json_option
@with_errors_shown
def list_(data_root: Path | None, as_json: bool) -> None:
    """Show what each data set holds and whether it is there. Reads no images.

    \b
    Example:
      sweeper data list --data-root ~/few-shot
    """
    from trainers.data import datasets

    entries = [datasets.describe(name, datasets.data_root(data_root)) for name in NAMES]
    if as_json:
        hand_out(json.dumps([asdict(entry) for entry in entries], default=str, indent=1))
        return
    for entry in entries:
        hand_out(_line(entry))
    for entry in entries:
        if entry.trouble:
            say(entry.trouble)


@data.command()
@click.argument("name", type=click.Choice(NAMES))
@data_root_option
@with_errors_shown
def get(name: DatasetName, data_root: Path | None) -> None:
    """Get data set NAME: download it if needed and allowed, convert it, and print the path of the array.

    Omniglot is downloaded from its original address. strokes is drawn here. You must put mini-ImageNet in place
    yourself, because nobody may redistribute it.

    \b
    Example:
      sweeper data get omniglot
    """
    from trainers.data import datasets

    root = datasets.data_root(data_root)
    entry = datasets.describe(name, root)
    if entry.trouble:
        if name not in datasets.DOWNLOADED:
            raise DataError(entry.trouble)
        say(f"{name}: not in {root}, trying to download")
        datasets.download(name, root)
    if entry.converted is None:
        say(f"{name}: checking and converting it, once")
    hand_out(datasets.prepare(name, root).path)


@data.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", type=click.Choice(NAMES))
@data_root_option
@json_option
@click.pass_context
@with_errors_shown
def verify(context: click.Context, names: tuple[DatasetName, ...], data_root: Path | None, as_json: bool) -> None:
    """Decode every image and compare it with the known facts of its data set.

    Without NAME, the data sets that are there are checked. The exit code is 1 if something is wrong.

    \b
    Example:
      sweeper data verify omniglot mini_imagenet
    """
    from trainers.data import datasets

    root = datasets.data_root(data_root)
    findings: dict[str, list[str]] = {}
    for name in names or NAMES:
        if not names and not _there(datasets.describe(name, root)):
            say(f"{name}: not found, so not checked")
            continue
        say(f"{name}: reading every image")
        findings[name] = datasets.verify(name, root)
        if not as_json:
            hand_out("\n".join(findings[name]) or f"{name}: good")
    if as_json:
        hand_out(json.dumps(findings, indent=1))
    if any(findings.values()):
        context.exit(1)


def _there(entry: "Description") -> bool:
    return entry.synthetic or bool(entry.sources)


def _line(entry: "Description") -> str:
    channels, height, width = entry.image_shape
    splits = " ".join(f"{split} {count}" for split, count in entry.splits.items())
    state = "converted" if entry.converted else "made when used" if entry.synthetic else "not converted yet"
    where = "missing" if entry.trouble else f"{state}, {'synthetic' if entry.synthetic else entry.sources[0].parent}"
    size = f"{entry.classes} x {entry.images_per_class} of {channels}x{height}x{width}"
    return f"{entry.name:<14} {size:<24} {splits:<28} {where}"
