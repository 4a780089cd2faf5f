"""Checks that a machine of a cluster may train for this driver: same code, versions, results folder and data.

Ray examines each node once before anything starts, and each worker repeats it before its first trial. A slot of Slurm
examines its own node. Starts no workers.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from sweeper.dealing.assignment import MAML, Assignment, MemberUpdate, TrainerFound, Update
from sweeper.host.provenance import installed, source_digest
from sweeper.results.paths import Results
from trainers.data.datasets import data_root
from trainers.named_code import Code, code_of
from trainers.registry import find
from trainers.trainer import DEFAULT, ConfigError, Reference, Trainer, TrainerError

COMPARED = ("torch", "ray", "numpy", "numba")
"""The packages that decide how a trial computes and how it is sent; Python is compared up to its minor version."""
TOKEN_FILE = "token"
SHOWN_DIGITS = 12


class Asked(TypedDict):
    """What the driver requires of a node: plain data. `data` maps a data set to the digest of its array.

    `trainers` has how each trainer other than MAML is found, by its name, and `owners` the trainer of each data set
    that is not MAML's. `meeting` is a folder in the driver's results folder; the driver has written `token` to a file
    in it.
    """

    code: str
    versions: dict[str, str]
    trainers: dict[str, TrainerFound]
    data: dict[str, str]
    owners: dict[str, str]
    data_root: str
    meeting: str
    token: str


class Answer(NamedTuple):
    """What a node has: `trouble`, one sentence per fault, and `arrays`, the path of its array of each data set."""

    trouble: list[str]
    arrays: dict[str, str]


def asked(
    data: Mapping[str, Mapping[str, str]],
    root: Path,
    results: Results,
    token: str,
    trainers: Mapping[str, TrainerFound] | None = None,
    owners: Mapping[str, str] | None = None,
) -> Asked:
    """Return what this driver's run requires of every node. `trainers` and `owners` are those of Asked."""
    return Asked(
        code=source_digest(),
        versions=_versions(),
        trainers=dict(trainers or {}),
        data={name: array["digest"] for name, array in data.items()},
        owners=dict(owners or {}),
        data_root=str(root),
        meeting=str(results.meeting(token)),
        token=token,
    )


def examine(wanted: Asked, node: str) -> Answer:
    """Compare this machine with `wanted`, and write the file `node` into `meeting` as a proof for the driver."""
    arrays: dict[str, str] = {}
    trouble = [*_code_trouble(wanted), *_versions_trouble(wanted), *_meeting_trouble(wanted, node)]
    found: dict[str, Trainer | str] = {name: _trainer(how) for name, how in wanted["trainers"].items()}
    trouble += [fault for fault in found.values() if isinstance(fault, str)]
    for name, digest in wanted["data"].items():
        owner = wanted["owners"].get(name, DEFAULT)
        trainer = found[owner] if owner in found else _trainer(MAML)
        if isinstance(trainer, str):
            continue
        path = _array(trainer, name, digest, wanted["data_root"])
        if isinstance(path, Path):
            arrays[name] = str(path)
        else:
            trouble.append(path)
    return Answer(trouble, arrays)


@lru_cache(maxsize=1)
def examined(wanted: str, node: str) -> Answer:
    """Return `examine` of `wanted` (JSON); the result is kept, so a worker examines its machine once per run."""
    return examine(json.loads(wanted), node)


def word_of(node: str, token: str) -> str:
    """Return what a node writes to prove that it has read the driver's token."""
    return f"{node} has read {token}"


def _code_trouble(wanted: Asked) -> list[str]:
    if source_digest() == wanted["code"]:
        return []
    here = Path(__file__).resolve().parents[2]
    return [
        f"the code of sweeper and trainers in {here} is {source_digest()[:SHOWN_DIGITS]}, the driver's is "
        f"{wanted['code'][:SHOWN_DIGITS]}; install the driver's commit there"
    ]


def _versions() -> dict[str, str]:
    versions = installed()
    python = ".".join(versions["python"].split(".")[:2])
    return {"python": python} | {name: versions.get(name, "not installed") for name in COMPARED}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _versions_trouble(wanted: Asked) -> list[str]:
    have = _versions() | {name: _version(name) for name in wanted["versions"] if name not in ("python", *COMPARED)}
    return [
        f"{name} is {have[name]}, the driver's is {theirs}; install that version there"
        for name, theirs in wanted["versions"].items()
        if have[name] != theirs
    ]


def _meeting_trouble(wanted: Asked, node: str) -> list[str]:
    """Read the driver's token and write the proof; return what prevents that."""
    meeting = Path(wanted["meeting"])
    try:
        read = (meeting / TOKEN_FILE).read_text(encoding="utf-8")
        (meeting / node).write_text(word_of(node, wanted["token"]), encoding="utf-8")
    except OSError as error:
        why = f"{error.filename}: {error.strerror}"
    else:
        if read == wanted["token"]:
            return []
        why = f"{meeting / TOKEN_FILE}: holds another token"
    return [
        f"the results folder isn't the driver's there ({why}); put it on a file system that all nodes mount at the "
        "same path, and name it with --results"
    ]


def _trainer(how: TrainerFound) -> Trainer | str:
    """Return the driver's trainer as this machine has it, or what is wrong with it."""
    try:
        trainer = find(Reference(how["says"], how["folder"]))
        of, here = _code(trainer, how)
    except TrainerError as error:
        return f"{error}; put the same file there, or install the same package"
    if here == how["code"]:
        return trainer
    return (
        f"the code of {of} is {here[:SHOWN_DIGITS] or 'not known'} there, the driver's is "
        f"{how['code'][:SHOWN_DIGITS] or 'not known'}; put the driver's files there"
    )


def _code(trainer: Trainer, how: TrainerFound) -> Code:
    if "config" not in how:
        return Code(f"trainer {trainer.name}", trainer.code())
    try:
        return code_of(trainer, trainer.resolve(how["config"]))
    except ConfigError:  # its data set is not here, which is told with the data
        return Code("", how["code"])


def _array(trainer: Trainer, name: str, digest: str, driver_root: str) -> Path | str:
    """Return the array of a data set on this machine, from its own data root or the driver's; or what is wrong."""
    trouble = []
    for root in dict.fromkeys((data_root(None), Path(driver_root))):
        try:
            array = trainer.prepare(name, root)
        except TrainerError as error:
            trouble.append(str(error))
            continue
        if array.digest == digest:
            return array.path
        trouble.append(
            f"{name} in {root} has digest {array.digest[:SHOWN_DIGITS]}, the driver's has {digest[:SHOWN_DIGITS]}; "
            "use copies of the same files on both"
        )
    where = "a node looks in its own SWEEPER_DATA or its cache, then in the driver's folder"
    return f"{'; '.join(dict.fromkeys(trouble))} ({where}; the driver's {name} has digest {digest[:SHOWN_DIGITS]})"


class Unfit:
    """Stands in for Work on a machine that may not train: gives the assignment back and says why."""

    def __init__(self, assignment: Assignment, trouble: list[str]) -> None:
        self._assignment = assignment
        self._trouble = trouble

    def step(self) -> Update:
        """Return every member untrained, with status "unfit"."""
        members = [
            MemberUpdate(
                trial_id=member["trial_id"],
                attempt=member["attempt"],
                step=0,
                records=[],
                status="unfit",
                message="; ".join(self._trouble),
            )
            for member in self._assignment["members"]
        ]
        return Update(pack=self._assignment["pack"], members=members, over=True)

    def save(self) -> None:
        """Nothing was trained."""


def with_arrays(assignment: Assignment, arrays: Mapping[str, str]) -> Assignment:
    """Return `assignment` with the path of this machine's own array of its data set, if it has one."""
    data: dict[str, Any] = assignment["data"]
    if not data:
        return assignment
    return assignment | {"data": data | {"path": arrays[data["name"]]}}
