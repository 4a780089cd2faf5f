"""Which engine a GPU should use: the winner of each cell of measured rows, as a table and as the trainer's own file.

    python -m benchmarks.gpu.winners ROWS.jsonl [--write]

A cell is a network and an order. The winner ends most outer steps a second in its best pack, in full float32, and its
gradient is at most twice as far from float64 as that of plain modules. Rows of a CPU decide nothing.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from trainers.maml.engines import gpu_table
from trainers.maml.engines.table import EngineName

Row = dict[str, Any]
Cell = tuple[str, str]

ERROR_TIMES_PLAIN = 2.0


def winners(rows: Iterable[Row]) -> dict[Cell, Row]:
    """Return the winning row of each cell of (network, order)."""
    best: dict[Cell, Row] = {}
    for row in filter(_may_win, rows):
        cell = row["network"], row["order"]
        if cell not in best or _rate(row) > _rate(best[cell]):
            best[cell] = row
    return best


def _may_win(row: Row) -> bool:
    return (
        row["device"] == "cuda"
        and "failed" not in row
        and row["arithmetic"] == "full"
        and row["engine"] in get_args(EngineName)
        and row["error"] <= ERROR_TIMES_PLAIN * row["plain_error"]
    )


def _rate(row: Row) -> float:
    return float(row["runs"] / row["ms"])


def source(best: dict[Cell, Row]) -> str:
    """Return the text of `trainers/maml/engines/gpu_table.py` with these winners; other cells stay as they are."""
    whole = Path(gpu_table.__file__).read_text(encoding="utf-8")
    head, mark, _ = whole.partition(" = {")
    engines = {**gpu_table.GPU_ENGINES, **{cell: row["engine"] for cell, row in best.items()}}
    lines = [f'    ("{network}", "{order}"): "{engine}",\n' for (network, order), engine in sorted(engines.items())]
    return head + mark + ("\n" + "".join(lines) if lines else "") + "}\n"


def table(rows: Iterable[Row]) -> str:
    """Return all rows as Markdown."""
    words = [
        "| data | order | engine | products | runs | ms a step (range) | a run's | times plain modules | error | "
        "plain's error | first step s | MiB |",
        "|---|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        cells = [row["protocol"], row["order"], row["engine"], row["arithmetic"], str(row["runs"])]
        if "failed" in row:
            words.append(f"| {' | '.join(cells)} | {row['failed']} | | | | | | |")
            continue
        low, high = row["range_ms"]
        peak = "" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 2**20:,.0f}"
        words.append(
            f"| {' | '.join(cells)} | {row['ms']:.2f} ({low:.2f} to {high:.2f}) | {row['ms'] / row['runs']:.2f} | "
            f"{row['times_plain']:.1f} | {row['error']:.1e} | {row['plain_error']:.1e} | {row['first_step_s']:.1f} | "
            f"{peak} |"
        )
    return "\n".join(words)


def main() -> None:
    """Print the table and the winners, and write the trainer's file if asked."""
    parser = argparse.ArgumentParser(description="Which engine a GPU should use.")
    parser.add_argument("rows", type=Path)
    parser.add_argument("--write", action="store_true", help="write trainers/maml/engines/gpu_table.py")
    wanted = parser.parse_args()
    rows = [json.loads(line) for line in wanted.rows.read_text(encoding="utf-8").splitlines()]
    best = winners(rows)
    print(table(rows))
    print()
    for (network, order), row in sorted(best.items()):
        print(f"{network}, {order} order: {row['engine']}, best in a pack of {row['runs']}")
    if not best:
        print("No cell has a winner: there is no sound row of a GPU.")
    if wanted.write:
        Path(gpu_table.__file__).write_text(source(best), encoding="utf-8")


if __name__ == "__main__":
    main()
