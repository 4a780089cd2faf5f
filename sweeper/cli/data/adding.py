"""`sweeper data add`: make a data set of a folder of pictures."""

import time
from pathlib import Path
from typing import Any

import click

from sweeper.cli.options import with_errors_shown
from sweeper.cli.terminal.printing import hand_out, say

TOLD_EVERY_S = 5.0
"""Seconds between two lines of progress."""

_PATH = click.Path(path_type=Path, exists=True)


@click.command()
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--split", metavar="A/B/C", help="Classes for train/val/test (or train/test): numbers, or per cent.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Draws the classes of --split.")
@click.option("--size", type=click.IntRange(1, 4096), help="Height and width in pixels [default: the pictures' own].")
@click.option(
    "--fit",
    type=click.Choice(["squash", "crop"]),
    default="squash",
    show_default=True,
    help="Resize whole pictures, or the largest square in their middle.",
)
@click.option(
    "--filter",
    "filter_",
    type=click.Choice(["bilinear", "bicubic", "lanczos", "box", "nearest"]),
    default="bilinear",
    show_default=True,
    help="How Pillow resizes.",
)
@click.option("--mode", type=click.Choice(["grey", "colour"]), help="Bring all pictures to one mode.")
@click.option("--csv", "table", type=_PATH, help="A table with columns file, class and, if you like, split.")
@click.option("--lists", type=_PATH, help="A folder with train.txt, val.txt and test.txt: a class name in each line.")
@click.option(
    "--least", type=click.IntRange(2), default=2, show_default=True, help="Pictures that every class must have."
)
@click.option(
    "--normalise",
    type=click.Choice(["train", "imagenet", "none"]),
    default="train",
    show_default=True,
    help="Scale pixels by mean and deviation of the training classes, by those of ImageNet, or not.",
)
@with_errors_shown
def add(name: str, folder: Path, table: Path | None, lists: Path | None, filter_: Any, **options: Any) -> None:
    """Add the pictures in FOLDER as data set NAME, for `dataset: NAME` in any sweep.

    FOLDER holds class folders, below train, val and test or with --split; or pictures and a CSV; or arrays of CIFAR-FS,
    FC100 or tieredImageNet. The pictures are read once, and every fault is named in one message. Adding the same again
    changes nothing.

    \b
    Example:
      sweeper data add birds ~/pictures/birds --split 60/20/20 --size 84
    """
    from trainers.data.added.add import add as add_set
    from trainers.data.added.shelf import array_of, words
    from trainers.data.added.wishes import Wishes

    wishes = Wishes(filter=filter_, csv=table and table.absolute(), lists=lists and lists.absolute(), **options)
    added = add_set(name, folder, wishes, _Told(name))
    description = added.description
    splits = ", ".join(f"{count} {split}" for split, count in description.splits.items())
    for note in added.notes:
        say(f"{name}: {note}")
    say(f"{name}: {'was added before' if added.before else 'added'}: {words(description)}; classes: {splits}")
    say(f"{name}: read as {description.origin.layout}; digest {description.digest[:16]}")
    hand_out(array_of(description))


class _Told:
    """Prints how far the conversion is, now and then."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._told_s = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._told_s > TOLD_EVERY_S:
            self._told_s = time.monotonic()
            say(f"{self._name}: {done:,} of {total:,} pictures")
