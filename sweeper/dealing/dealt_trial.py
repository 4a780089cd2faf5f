"""What a dealer knows of a run: the settings of its workers, and the progress of its trials. Changes no file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from analysis.contract.lifecycle import Phase
from sweeper.host.provenance import circumstances
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.journal import Journal
from sweeper.results.journal_lines import FORM_OF_OTHERS
from sweeper.results.locks import Lock
from sweeper.results.trial_summary import class_of
from trainers.trainer import DEFAULT
from trainers.tuned import kernels


@dataclass(frozen=True, kw_only=True)
class Worker:
    """The settings of every worker of a run. `data` maps a data set to its prepared array (name, path, digest).

    A worker that reports no chunk within `timeout_s` seconds is given up. `share` in (0, 1]: its part of a GPU.
    """

    device: str
    threads: int
    pack: int
    data: Mapping[str, dict[str, str]]
    timeout_s: float
    chunk_s: float = 1.0
    share: float = 1.0


@dataclass(kw_only=True)
class Dealt:
    """One trial of this run and its progress, as a progress view shows it. `engine` is for its first attempt.

    `held`: it was skipped because another process trains it.
    """

    spec: TrialSpec
    engine: str
    phase: Phase = "waiting"
    step: int = 0
    first_step: int = 0
    started_s: float = 0.0
    accuracy: float | None = None
    lost: int = 0
    stop_asked: bool = False
    held: bool = False
    largest_pack: int
    lock: Lock | None = field(default=None, repr=False)
    journal: Journal | None = field(default=None, repr=False)
    attempt: int = 0
    pack: int = 0

    @property
    def open_journal(self) -> Journal:
        """The trial's journal, open from before the trial is dealt until it ends."""
        assert self.journal is not None
        return self.journal


class Fixed(NamedTuple):
    """What a trial's first attempt fixes for every later one."""

    engine: str
    threads: int


class Change(NamedTuple):
    """A trial has entered `phase` at step `step`; `accuracy` is its latest `progress`, see `trainers.trainer`."""

    spec: TrialSpec
    phase: Phase
    step: int
    accuracy: float | None
    message: str


def facts(spec: TrialSpec, worker: Worker, sweep: str, fixed: Fixed, pack: int, code: str = "") -> dict[str, Any]:
    """Return what the journal records when an attempt opens, in a pack of `pack` trials.

    `fixed` is that of the trial's first attempt, `code` the hash of its trainer's code.
    """
    return _facts_of_trainer(spec, code) | {
        "trial_id": spec.trial_id,
        "point": spec.point,
        "cell": spec.cell,
        "seed": spec.seed,
        "target": spec.target,
        "config": spec.config.model_dump(),
        "recipe": dict(spec.recipe),
        "digest": spec.digest,
        "sweep": sweep,
        "engine": fixed.engine,
        "threads": fixed.threads,
        "pack": pack,
        "device": worker.device,
        "kernels": dict(kernels(spec.trainer, fixed.engine)),
        **circumstances(),
    }


def _facts_of_trainer(spec: TrialSpec, code: str) -> dict[str, Any]:
    """Return what journals of trainers other than MAML have besides: all that a reader needs without the trainer.

    Those of MAML have the hash of the code that a config names, such as a network's.
    """
    trainer = spec.trainer
    if trainer.name == DEFAULT:
        return {"code": code} if code else {}
    return {
        "form": FORM_OF_OTHERS,
        "trainer": trainer.name,
        "code": code,
        "resumes": trainer.resumes,
        "length": trainer.length,
        "class": class_of(trainer, spec.cell_config),
        "dataset": trainer.dataset(spec.cell_config),
    }


def may_be_cut_off(spec: TrialSpec, status: str) -> bool:
    """Return whether a trial that has ended with `status`, while its run stops, may have been ended by what stops it.

    A signal that ends a run, as of a job of Slurm, often reaches the program that trains as well: then the program's
    end is no result. One with a length has reached it if it says that it is done.
    """
    return isinstance(spec.reference.says, Mapping) and (
        status == "failed" or (status == "done" and spec.trainer.length is None)
    )


def other_kernels(trial: Dealt, engine: str) -> str:
    """Return a sentence if the kernels of `engine` are compiled otherwise here than in the trial's first attempt."""
    first, here = (trial.open_journal.first or {}).get("kernels"), kernels(trial.spec.trainer, engine)
    if not first or first == here:
        return ""
    before, now = (", ".join(f"{name} {value}" for name, value in facts.items()) for facts in (first, here))
    return (
        f"{trial.spec.trial_id} began with kernels of {before} and goes on with {now}: its last bits may differ from "
        "those of a run on one machine"
    )
