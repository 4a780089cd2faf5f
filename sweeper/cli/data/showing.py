"""`sweeper data show`: one episode as a picture, the way a trainer sees it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sweeper.cli.options import data_root_option, profile_option, results_option, with_errors_shown
from sweeper.cli.terminal.printing import hand_out
from sweeper.errors import SweepError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from trainers.trainer import Trainer

LONGEST_NAME = 24  # characters of a class's name on the picture
MOST_QUERIES = 15
_SIZES = ("ways", "shots", "queries", "seed")


@click.command()
@click.argument("name")
@click.option("--episode", type=click.IntRange(0), default=0, show_default=True, help="Its number.")
@click.option(
    "--of",
    "split",
    type=click.Choice(["train", "val", "test"]),
    default="train",
    show_default=True,
    help="Training episodes, or evaluation episodes of this split.",
)
@click.option("--ways", type=click.IntRange(2), help="Classes [default: 5].")
@click.option("--shots", type=click.IntRange(1), help="Support images of a class [default: 1].")
@click.option("--queries", type=click.IntRange(1), help="Query images of a class [default: up to 15].")
@click.option("--seed", type=click.IntRange(0), help="Seed of the trial [default: 0].")
@click.option(
    "--sweep",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw as the trials of this sweep file do, instead of the four options above.",
)
@click.option("--trial", metavar="SELECTOR", help="Which trial of the sweep [default: the first with this data set].")
@profile_option
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The file [default: NAME-OF-EPISODE.png].")
@data_root_option
@results_option
@with_errors_shown
def show(
    name: str,
    episode: int,
    split: str,
    sweep: Path | None,
    trial: str | None,
    profile: str | None,
    out: Path | None,
    data_root: Path | None,
    results: Path,
    **sizes: int | None,
) -> None:
    """Write one episode of data set NAME as a picture: a row for each class, support images first, then query images.

    \b
    Example:
      sweeper data show omniglot --episode 3 --ways 5 --shots 1
    """
    from trainers.data import datasets, sheet
    from trainers.data.facts import facts_of
    from trainers.showing import Showing

    given = {key: value for key, value in sizes.items() if value is not None}
    if sweep is not None and given:
        raise SweepError(f"--{next(iter(given))}: the sweep file says it; leave it out, or leave out --sweep")
    if sweep is None and (trial is not None or profile is not None):
        raise SweepError("--trial and --profile choose among the trials of a sweep; give --sweep FILE as well")
    trainer, config = _alone(name, split, given) if sweep is None else _of_sweep(name, sweep, trial, profile, results)
    if not isinstance(trainer, Showing):
        raise SweepError(f"trainer {trainer.name} draws no episodes that can be shown; maml and protonet do")
    array = trainer.prepare(name, datasets.data_root(data_root))
    try:
        found = trainer.episode(config, array, split, episode)
    except ValueError as error:
        raise SweepError(str(error)) from None
    names = [
        _label(facts_of(name).class_names, row, turns) for row, turns in zip(found.classes, found.turns, strict=True)
    ]
    values = ", ".join(f"{key} {getattr(config, key)}" for key in _SIZES if hasattr(config, key))
    title = [f"{name}, {split} episode {episode}", f"trainer {trainer.name}: {values}"]
    path = out or Path(f"{name}-{split}-{episode}.png")
    sheet.save(sheet.sheet(found.support, found.query, names, title), path)
    hand_out(path)


def _alone(name: str, split: str, given: dict[str, int]) -> "tuple[Trainer, BaseModel]":
    """Return the default trainer and the config with the given sizes. Raises SweepError with what can't be."""
    from trainers.data.facts import facts_of
    from trainers.registry import find
    from trainers.trainer import DEFAULT, ConfigError, Reference

    trainer = find(Reference(DEFAULT, ""))
    fewest = facts_of(name).images_per_class
    queries = max(1, min(MOST_QUERIES, fewest - given.get("shots", 1)))
    network = "conv4_strided" if facts_of(name).image_shape[0] == 1 else "conv4_pooled"
    values: dict[str, Any] = {"dataset": name, "queries": queries, "network": network, "outer_steps": 10**6}
    if split == "val":
        values["eval_split"] = "val"
        if name == "omniglot":
            values["omniglot_split"] = "1028/172/423"
    try:
        return trainer, trainer.resolve(values | given)
    except ConfigError as error:
        raise SweepError("; ".join(f"{problem.field}: {problem.message}" for problem in error.problems)) from None


def _of_sweep(
    name: str, file: Path, trial: str | None, profile: str | None, results: Path
) -> "tuple[Trainer, BaseModel]":
    from sweeper.planning.expand import expand
    from sweeper.planning.selectors import select
    from sweeper.results.known_trainers import sweep_in
    from sweeper.results.paths import Results

    folder = Results.at(results)
    specs = select(expand(sweep_in(file, folder), profile, folder.digests()), [trial] if trial else [], "--trial")
    for spec in specs:
        if spec.trainer.dataset(spec.cell_config) == name:
            return spec.trainer, spec.config
    used = ", ".join(dict.fromkeys(spec.trainer.dataset(spec.cell_config) or "none" for spec in specs))
    raise SweepError(f"{file}: no such trial uses data set {name}; they use {used}")


def _label(class_names: tuple[str, ...], row: int, turns: int) -> str:
    name = class_names[row] if class_names else f"class {row}"
    short = name if len(name) <= LONGEST_NAME else f"...{name[3 - LONGEST_NAME :]}"
    return f"{short}{f', turned {90 * turns}' if turns else ''}"
