"""Compiles and keeps the kernels of engines, in a process of its own: `python -m trainers.maml.compile_ahead`.

Reads JSON from standard input: a list of pairs, the name of an engine and the fields of a config. Trains nothing.
"""

import json
import sys

from trainers.maml.config import resolve
from trainers.maml.engines.engines import build


def main() -> None:
    for engine, fields in json.load(sys.stdin):
        build(engine, resolve(fields))


if __name__ == "__main__":
    main()
