"""`sweeper theory`: check the paper's formulas and our own code by computing them. One row is one claim."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sweeper.cli.options import json_option, with_errors_shown
from sweeper.cli.terminal.printing import hand_out, say

if TYPE_CHECKING:
    from trainers.maml.theory.claim import Claim, Setting

WIDE = 160


@click.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the data sets. With it, the paper's network and real Omniglot episodes are checked too.",
)
@json_option
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown tables for a page.")
@click.pass_context
@with_errors_shown
def theory(context: click.Context, data: Path | None, as_json: bool, as_markdown: bool) -> None:
    """Compare every formula of the paper with the gradient it stands for, in float64. One row is one claim.

    Controls, and formulas that are wrong as printed, have rows too, and must not hold. Rows whose verdict is
    "information" judge nothing. The exit code is 1 if a row is not as expected.

    \b
    Example:
      sweeper theory
      sweeper theory --data ~/few-shot --json
    """
    claims: list[Claim] = []
    rows = []
    for setting in _settings(data):
        checked = list(_checked(setting, once=not claims))
        claims += checked
        rows += [claim.row() | {"setting": setting.name} for claim in checked]
        if as_markdown:
            hand_out(_page(setting, checked))
        elif not as_json:
            _print(setting, checked)
    if as_json:
        hand_out(json.dumps(rows, indent=1))
    else:
        hand_out(_summary(claims))
    if not all(claim.as_expected for claim in claims):
        context.exit(1)


def _settings(data: Path | None) -> Iterator["Setting"]:
    import torch

    from trainers.data import datasets
    from trainers.maml.theory import settings

    torch.set_num_threads(1)  # like a worker: claims about bits hold for one thread
    # Report a missing data set before a minute is spent on the claims that need no data.
    prepared = None if data is None else datasets.prepare("omniglot", data)
    yield settings.small()
    if prepared is not None:
        yield settings.real(prepared)


def _checked(setting: "Setting", *, once: bool) -> Iterator["Claim"]:
    from trainers.maml.theory import examine

    say(f"checking on {setting.name}")
    for check in (*examine.CHECKS, *(examine.CHECKS_ONCE if once else ())):
        begun = time.monotonic()
        yield from check(setting)
        name = f"{check.__module__.rpartition('.')[2]}, {check.__name__}".replace("_", " ")
        say(f"  {name} {time.monotonic() - begun:.1f} s")


def _print(setting: "Setting", claims: Sequence["Claim"]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)
    table = Table(title=f"On {setting.name}", title_justify="left", show_lines=True)
    for heading in ("claim", "source", "computed"):
        table.add_column(heading, overflow="fold")
    table.add_column("error", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for claim in claims:
        verdict = claim.verdict if claim.as_expected else f"{claim.verdict} !"
        table.add_row(claim.statement, claim.source, claim.computed, f"{claim.error:.1e}", verdict)
    with console.capture() as capture:
        console.print(table, markup=False)
    hand_out(capture.get(), nl=False)


def _page(setting: "Setting", claims: Sequence["Claim"]) -> str:
    lines = [f"## On {setting.name}", "", "| claim | source | computed | error | verdict |", "|---|---|---|---:|---|"]
    for claim in claims:
        texts = (claim.statement, claim.source, claim.computed)
        cells = [text.replace("|", "\\|").replace("<", "&lt;") for text in texts]
        lines.append(f"| {' | '.join(cells)} | {claim.error:.1e} | {claim.verdict} |")
    return "\n".join([*lines, ""])


def _summary(claims: Sequence["Claim"]) -> str:
    expected = Counter(claim.should for claim in claims if claim.as_expected)
    text = (
        f"{sum(claim.should != 'inform' for claim in claims)} claims: {expected['hold']} hold, {expected['fail']} do "
        f"not and should not; {expected['inform']} rows of information"
    )
    surprises = [claim for claim in claims if not claim.as_expected]
    lines = [f"not as expected: {claim.statement} ({claim.computed}: {claim.error:.1e})" for claim in surprises]
    return "\n".join([text, *lines])
