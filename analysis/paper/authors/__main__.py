"""`python -m analysis.paper.authors RAW.csv.gz [--out DIR]`: compute the authors' tables from the raw file."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.errors import AnalysisError
from analysis.paper.authors.tables import tables

OUT = Path(__file__).parents[1] / "published"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables and print their number; return 0, or 2 if the raw file can't be used."""
    parser = argparse.ArgumentParser(prog="python -m analysis.paper.authors", description=tables.__doc__)
    parser.add_argument("raw", type=Path, help="the authors' raw results, one stored number a row (.csv or .csv.gz)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write into (default: the package's own)")
    options = parser.parse_args(arguments)
    try:
        written = tables(options.raw)
    except AnalysisError as error:
        print(error, file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    for name, text in written.items():
        (options.out / name).write_bytes(text.encode())
    print(f"{len(written)} tables, {sum(map(len, written.values())):,} bytes, in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
