"""What a user asks of sbatch: `--slurm KEY=VALUE,...` and `slurm:` of a profile, as options of sbatch. Runs nothing.

Every key of sbatch is passed on, and sbatch judges the values. Only keys that a slot needs for itself are refused.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sweeper.errors import SweepError, shown

SETUP, PYTHON = "setup", "python"
"""The keys that are no options of sbatch: shell lines before a slot begins, and what stands for `python` there."""
ALIASES = {"cpus": "cpus-per-task"}
FLAGS = frozenset({
    "contiguous", "exclusive", "hold", "no-requeue", "overcommit", "oversubscribe", "reboot", "spread-job",
    "use-min-nodes",
})  # fmt: skip
"""Options of sbatch that take no value, or need none."""
OURS = {
    "array": "--workers says how many slots there are",
    "help": "it submits nothing",
    "job-name": "a submission is found again by the name of its jobs",
    "open-mode": "a slot that is queued again goes on with its log",
    "parsable": "it is always given",
    "requeue": "it is always given; give no-requeue where the cluster forbids it",
    "signal": "a slot is told of the time limit in its own way",
    "test-only": "use --dry-run",
    "wait": "without --detach, the command waits by itself",
    "wrap": "the script is the slot's",
    **dict.fromkeys(("nodes", "ntasks", "ntasks-per-node"), "a slot is one process on one node; use --workers"),
}
"""Keys of sbatch that sweeper gives itself, or must not have, and why."""
SLOTS = 32
"""The number of slots at once without --workers."""
GPUS = ("gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket")
_KEY = re.compile(r"[a-z][a-z0-9-]*")
Options = Mapping[str, str | bool]


def parsed(words: Iterable[str]) -> dict[str, str | bool]:
    """Return the options in the words of `--slurm`. Raises SweepError.

    A part without `=` that is no flag belongs to the value before it: `nodelist=a,b,time=1:00:00` has two keys.
    """
    found: dict[str, str | bool] = {}
    for word in words:
        last = ""
        if not word.isprintable():
            raise SweepError(f"--slurm {shown(word)}: must be one line of printable characters; put lines into `setup`")
        for part in next(csv.reader([word], skipinitialspace=True), []):
            name, equals, value = part.partition("=")
            key = _canonical(name)
            if equals or key in FLAGS:
                found[key] = _value(f"--slurm {word}", name, value if equals else True)
                last = key if equals else ""
            elif last:
                found[last] = f"{found[last]},{part}"
            else:
                raise SweepError(
                    f"--slurm {word}: {shown(part)} has no value; write KEY=VALUE, as in partition=gpu,time=4:00:00"
                )
    return found


def of_profile(name: str, value: Any) -> tuple[str, str | bool] | None:
    """Return one key under `slurm:` of a profile as an option, None if it is false. Raises SweepError."""
    where = "slurm"
    if value is None or isinstance(value, dict):
        raise SweepError(f"{where}: {name} must be a text, a number or true, got {shown(value)}")
    if isinstance(value, list):
        value = "\n".join(map(str, value)) if name == SETUP else ",".join(map(str, value))
    if value is False:
        return None
    return _canonical(name), _value(where, name, value if value is True else str(value))


def _canonical(name: str) -> str:
    key = name.strip().lstrip("-").replace("_", "-")
    return ALIASES.get(key, key)


def _value(where: str, name: str, value: str | bool) -> str | bool:
    key = _canonical(name)
    if not _KEY.fullmatch(key):
        raise SweepError(f"{where}: {shown(name)} is no key of sbatch; use its long options, such as partition or time")
    if key in OURS:
        raise SweepError(f"{where}: {key} can't be given: {OURS[key]}")
    if isinstance(value, str) and key != SETUP and not value.isprintable():
        raise SweepError(f"{where}: {key} must be one line of printable characters, got {shown(value)}")
    if value == "":
        raise SweepError(f"{where}: {key} has an empty value; leave the key out, or give it one")
    return value


def wants_gpu(options: Options) -> bool:
    """Return whether a job with these options has a GPU."""
    if any(str(options.get(key, "0")).split(":")[-1] not in ("", "0") for key in GPUS):
        return True
    return any(part.split(":")[0] in ("gpu", "gres/gpu") for part in str(options.get("gres", "")).split(","))


def words_of(options: Options) -> Sequence[str]:
    """Return the options as words of sbatch, without those that are not its own."""
    return [
        f"--{key}" if value is True else f"--{key}={value}"
        for key, value in options.items()
        if key not in (SETUP, PYTHON)
    ]
