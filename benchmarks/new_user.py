"""Walks a new user's path in a terminal, from the clone to a question of one's own, and times each step.

    python -m benchmarks.new_user --columns 80 --out build/new_user

Writes the recording of the terminal (asciicast v2) and prints a table. It clones this repository and installs into the
clone, which needs gigabytes; `--venv DIR` names an environment in which torch may be already. Times no quiet machine by
itself: run it when nothing else runs.
"""

import argparse
import fcntl
import json
import os
import pty
import shlex
import struct
import sys
import termios
import time
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
Marks = tuple[tuple[str, str], ...]
"""Parts of one command: a text that its output holds at the part's end, and the name of the part."""

DEMO: Marks = (
    ("8 planned: 8 new", "`make demo`: install"),
    (" done at step", "`make demo`: until the first trial is done"),
    ("8 planned: 8 done", "`make demo`: until all eight are"),
    ("MLflow  ", "`make demo`: the report"),
)


def steps(venv: str) -> list[tuple[str, Marks]]:
    """Return the commands, each with the parts that are timed apart."""
    known = f". {venv}/bin/activate; "
    return [
        (f"git clone --quiet {shlex.quote(str(ROOT))} sweeper-clone", ()),
        (f"cd sweeper-clone; make demo VENV={shlex.quote(venv)}", DEMO),
        (f"{known}sweeper init inner_lr", ()),
        (f"{known}sweeper plan inner_lr.yaml", ()),
        (f"{known}sweeper run inner_lr.yaml", ()),
        (f"{known}sweeper report inner_lr.yaml", ()),
        ("sed -i 's/^seeds: 3/seeds: 4/' inner_lr.yaml", ()),
        (f"{known}sweeper run inner_lr.yaml", ()),
        (f"{known}sweeper report inner_lr.yaml", ()),
    ]


def typed(command: str, columns: int, marks: Marks, cast: TextIO, began_s: float, folder: Path) -> list[float]:
    """Run a command in a terminal of that width, record it, and return the seconds to the end of each of its parts.

    Raises SystemExit if it fails.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        for name in ("CI", "COLUMNS", "LINES", "PYTHONPATH", "VIRTUAL_ENV"):
            os.environ.pop(name, None)
        os.environ |= {
            "TERM": "xterm-256color",
            "XDG_CACHE_HOME": str(folder / "cache"),
        }  # no kernels yet
        os.execvp("bash", ["bash", "--norc", "-c", f"sleep 0.2; {command}"])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    start_s, ends, left = time.monotonic(), [], list(marks)
    while True:
        try:
            said = os.read(terminal, 65536).decode("utf-8", "replace")
        except OSError:  # the terminal is closed: the command has ended
            break
        if not said:
            break
        now_s = time.monotonic()
        cast.write(json.dumps([round(now_s - began_s, 3), "o", said]) + "\n")
        while left and left[0][0] in said:
            left.pop(0)
            ends.append(now_s - start_s)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise SystemExit(f"{command}: exit code {code}")
    return ends if marks else [time.monotonic() - start_s]


def main() -> None:
    """Walk the path, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--venv", default=".venv")
    asked = parser.parse_args()
    folder = asked.out.absolute()
    folder.mkdir(parents=True)
    began_s, rows = time.monotonic(), []
    with (folder / f"{asked.columns}.cast").open("w", encoding="utf-8") as cast:
        cast.write(json.dumps({"version": 2, "width": asked.columns, "height": 30}) + "\n")
        for command, marks in steps(asked.venv):
            shown = command.rpartition("activate; ")[2]
            cast.write(json.dumps([round(time.monotonic() - began_s, 3), "o", f"$ {shown}\r\n"]) + "\n")
            where = folder if "clone --quiet" in command or command.startswith("cd ") else folder / "sweeper-clone"
            before_s = 0.0
            names = [name for _, name in marks] or [f"`{shown}`"]
            for name, end_s in zip(names, typed(command, asked.columns, marks, cast, began_s, where), strict=True):
                rows.append((name, end_s - before_s))
                before_s = end_s
                print(f"{end_s:8.1f} s  {name}", file=sys.stderr, flush=True)
    print("| step | seconds |\n|---|---:|")
    for name, took_s in rows:
        print(f"| {name.replace(str(ROOT), '...')} | {took_s:.1f} |")
    print(f"| together | {sum(took_s for _, took_s in rows):.0f} |")


if __name__ == "__main__":
    main()
