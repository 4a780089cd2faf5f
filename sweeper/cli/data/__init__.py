"""`sweeper data`: list the data sets, get, add, show, verify and remove them."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sweeper.cli.data.adding import add
from sweeper.cli.data.showing import show
from sweeper.cli.options import data_root_option, json_option, results_option, with_errors_shown
from sweeper.cli.terminal.printing import hand_out, say
from sweeper.errors import SweepError
from trainers.data.archives import DataError
from trainers.data.facts import BUILT_IN

if TYPE_CHECKING:
    from trainers.data.datasets import Description


class _Name(click.ParamType):
    """The name of a data set that is built in or was added on this machine."""

    name = "name"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> str:
        from trainers.data import facts

        with_added = facts.names()
        if value not in with_added:
            self.fail(f"{value!r} is not one of {', '.join(map(repr, with_added))}.", parameter, context)
        return str(value)


@click.group()
def data() -> None:
    """List, get, add, show, verify and remove the data sets.

    \b
    Example:
      sweeper data add birds ~/pictures/birds --split 60/20/20 --size 84
    """


data.add_command(add)
data.add_command(show)


@data.command("list")
@data_root_option
@results_option
@json_option
@with_errors_shown
def list_(data_root: Path | None, results: Path, as_json: bool) -> None:
    """Show what each data set holds, whether it is there, and which sweeps use it. Reads no images.

    The sweeps are those whose trials are in the results folder.

    \b
    Example:
      sweeper data list --data-root ~/few-shot
    """
    from sweeper.results.known_datasets import uses
    from sweeper.results.paths import Results
    from trainers.data import datasets, facts

    entries = [datasets.describe(name, datasets.data_root(data_root)) for name in facts.names()]
    used = uses(Results.at(results))
    if as_json:
        with_use = [asdict(entry) | {"used_by": used.get(entry.name, {})} for entry in entries]
        hand_out(json.dumps(with_use, default=str, indent=1))
        return
    for entry in entries:
        hand_out(_line(entry))
        if entry.name in used:
            hand_out(f"{'':<14} used by {_used(used[entry.name])}")
    for entry in entries:
        if entry.trouble:
            say(entry.trouble)


@data.command()
@click.argument("name", type=_Name())
@data_root_option
@with_errors_shown
def get(name: str, data_root: Path | None) -> None:
    """Get data set NAME: download it if needed and allowed, convert it, and print the path of the array.

    Omniglot is downloaded from its original address. strokes is drawn here. You must put mini-ImageNet in place
    yourself, because nobody may redistribute it. A set of your own is added by `sweeper data add`.

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
@click.argument("names", nargs=-1, metavar="[NAME]...", type=_Name())
@data_root_option
@json_option
@click.pass_context
@with_errors_shown
def verify(context: click.Context, names: tuple[str, ...], data_root: Path | None, as_json: bool) -> None:
    """Decode every image and compare it with the known facts of its data set; of an added set, read its array.

    Without NAME, the data sets that are there are checked. The exit code is 1 if something is wrong.

    \b
    Example:
      sweeper data verify omniglot mini_imagenet
    """
    from trainers.data import datasets, facts

    root = datasets.data_root(data_root)
    findings: dict[str, list[str]] = {}
    for name in names or facts.names():
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


@data.command()
@click.argument("name")
@results_option
@click.option("--yes", is_flag=True, help="Remove it although trials of the results folder use it.")
@with_errors_shown
def remove(name: str, results: Path, yes: bool) -> None:
    """Delete the array of the added data set NAME from this machine. The pictures that it was made of stay.

    Results stay readable. To train such trials further, add the same pictures again.

    \b
    Example:
      sweeper data remove birds
    """
    from sweeper.results.known_datasets import uses
    from sweeper.results.paths import Results
    from trainers.data.added import shelf

    if name in BUILT_IN:
        raise SweepError(f"{name} is built in and can't be removed; its converted array lies in the cache folder")
    if name not in shelf.names():
        there = ", ".join(shelf.names()) or "none"
        raise SweepError(f"{name}: no such data set was added on this machine; added are {there}")
    used = uses(Results.at(results)).get(name)
    if used and not yes:
        raise SweepError(
            f"{name} is used by {_used(used)} in {results}; they can't be trained further without it; remove it "
            "all the same with --yes"
        )
    shelf.remove(name)
    say(f"{name}: removed")


def _used(sweeps: Mapping[str, int]) -> str:
    counts = (f"{sweep} ({count} trial{'s' if count > 1 else ''})" for sweep, count in sorted(sweeps.items()))
    return ", ".join(counts)


def _there(entry: "Description") -> bool:
    return entry.synthetic or bool(entry.sources)


def _line(entry: "Description") -> str:
    channels, height, width = entry.image_shape
    splits = " ".join(f"{split} {count}" for split, count in entry.splits.items())
    state = "converted" if entry.converted else "made when used" if entry.synthetic else "not converted yet"
    state = "added" if entry.added else state
    where = "missing" if entry.trouble else f"{state}, {'synthetic' if entry.synthetic else _source(entry)}"
    counts = str(entry.images_per_class)
    if entry.most_images_per_class > entry.images_per_class:
        counts = f"{counts}-{entry.most_images_per_class}"
    size = f"{entry.classes} x {counts} of {channels}x{height}x{width}"
    return f"{entry.name:<14} {size:<24} {splits:<28} {_bytes(entry.size):>8}  {where}"


def _source(entry: "Description") -> Path:
    return entry.sources[0] if entry.added else entry.sources[0].parent


def _bytes(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
