"""Plans and records of a trainer that is not MAML, made by hand: it measures its loss, and accuracies of two splits."""

from collections.abc import Mapping
from typing import Any

from analysis.contract.question import Endpoint, PlannedTrial
from analysis.contract.record import TrialRecord

METRICS: Mapping[str, Mapping[str, Any]] = {
    "accuracy": {
        "words": "accuracy", "unit": "%", "better": "higher", "least": 0.0, "most": 1.0,
        "coordinates": {"split": ("train", "val")},
    },
    "loss": {"words": "loss", "unit": "nats", "better": "lower", "least": 0.0},
    "reward": {"words": "mean reward"},
}  # fmt: skip


def endpoint_of(metric: str, *, at: Any = "last", window: int = 1, **coordinates: Any) -> Endpoint:
    return Endpoint.of(metric, METRICS[metric], coordinates, at=at, window=window)


ACCURACY = endpoint_of("accuracy", split="val")
LOSS = endpoint_of("loss")


def planned(labels: Mapping[str, str], seed: int = 0, target: int = 60, **config: Any) -> PlannedTrial:
    """A trial of the trainer toy; a target of 0 is that of a trainer without a length."""
    cell = "-".join(labels.values()) or "all"
    fields = {"lr": 0.1, "seed": seed} | ({"epochs": target} if target else {}) | config
    return PlannedTrial(
        trial_id=f"{cell}-s{seed}",
        cell=cell,
        seed=seed,
        trainer="toy",
        length="epochs" if target else None,
        target=target,
        labels=labels,
        config=fields,
        origins=dict.fromkeys(fields, "x.yaml:3"),
    )


def attempt(trial: PlannedTrial, number: int = 1, **changed: Any) -> dict[str, Any]:
    return {
        "form": 2, "attempt": number, "time_ms": 1000, "trial_id": trial.trial_id, "point": "point", "cell": trial.cell,
        "seed": trial.seed, "target": trial.target, "recipe": {}, "dataset": "", "digest": "", "sweep": "x",
        "engine": "python", "threads": 1, "pack": 1, "device": "cpu", "processor": "A processor", "commit": "abc",
        "dirty": False, "versions": {"python": "3.11"}, "trainer": "toy", "code": "c" * 64, "resumes": False,
        "length": trial.length, "class": "0123456789abcdef",
    } | changed  # fmt: skip


def recorded(
    trial: PlannedTrial,
    readings: Mapping[int, Mapping[str, float]],
    status: str = "done",
    step: int | None = None,
    done_step: int | None = None,
) -> TrialRecord:
    """`readings` maps a step to its numbers by name; a done trial has reached its target, or its last reading."""
    last = max(readings, default=0)
    end = (trial.target or last) if status == "done" else last
    step = end if step is None else step
    return {
        "schema": 1,
        "trial_id": trial.trial_id,
        "point": "point",
        "cell": trial.cell,
        "seed": trial.seed,
        "status": status,
        "message": "",
        "step": step,
        "target": trial.target,
        "done_step": (step if status == "done" else 0) if done_step is None else done_step,
        "config": dict(trial.config),
        "trainer": "toy",
        "readings": [{"step": at, "time_ms": 1000 + at, "values": dict(values)} for at, values in readings.items()],
        "training": {"step": [], "time_ms": [], "query_loss": [], "query_accuracy": []},
        "evaluations": [],
        "probes": [],
        "scores": None,
        "attempts": [attempt(trial)],
    }
