"""Short plans and records for tests; their accuracies are chosen, never random."""

import gzip
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.contract.question import Endpoint, PlannedTrial
from analysis.contract.record import TrialRecord
from tests.analysis.endpoints import endpoint_of


def planned_trial(labels: Mapping[str, str], seed: int = 0, target: int = 60, inner_steps: int = 1) -> PlannedTrial:
    cell = "-".join(labels.values())
    return PlannedTrial(
        trial_id=f"{cell}-s{seed}",
        cell=cell,
        seed=seed,
        trainer="maml",
        length="outer_steps",
        target=target,
        labels=labels,
        config={"inner_steps": inner_steps, "eval_every": 20},
    )


def trial_record(
    trial: PlannedTrial,
    scores: Mapping[int, float | Sequence[float]],
    status: str = "done",
    step: int | None = None,
    split: str = "test",
    probes: Sequence[Mapping[str, Any]] = (),
) -> TrialRecord:
    """`scores` maps an outer step to the zeroed head's accuracy after one inner step (or after 0, 1, ...)."""
    evaluations = []
    for outer_step, score in scores.items():
        zeroed = [0.2, score] if isinstance(score, float) else list(score)
        evaluations.append(
            {
                "step": outer_step,
                "time_ms": outer_step,
                "split": split,
                "episodes": 10,
                "accuracy": {"trained": [value / 2 for value in zeroed], "zeroed": zeroed},
                "sd": {"trained": [0.1] * len(zeroed), "zeroed": [0.1] * len(zeroed)},
            }
        )
    return {
        "schema": 1,
        "trial_id": trial.trial_id,
        "point": "point",
        "cell": trial.cell,
        "seed": trial.seed,
        "status": status,
        "message": "",
        "step": max([*scores, *(probe["step"] for probe in probes)], default=0) if step is None else step,
        "target": trial.target,
        "config": {"order": "first", "ways": 3, "queries": 4},
        "training": {"step": [], "time_ms": [], "query_loss": [], "query_accuracy": []},
        "evaluations": evaluations,
        "probes": list(probes),
        "scores": None,
        "attempts": [],
    }


def trial_probe(step: int, gap: float = 0.25, positive: float = 0.75, pulled: float | None = 1.0) -> dict[str, Any]:
    """A probe of three ways: cosines 0.1 + `gap` within a class and 0.1 between two; queries have 0.3 more.

    `positive` is the mean share of two episodes; `pulled` is what the second order does to the support set.
    """

    def block(same: float) -> np.ndarray:
        return 0.1 + (same - 0.1) * np.eye(3)

    own, across = block(0.4 + gap), block(0.1 + gap)
    still = {"gradient": 0.0, "same": 0.05, "other": -0.05}
    query = {"gradient": 2.0, "same": 3.0, "other": -1.0}
    support = {"gradient": 1.5, "same": pulled, "other": -0.5}
    return {
        "step": step,
        "time_ms": step,
        "cosine": np.block([[own, across], [across, own]]).tolist(),
        "positive": [positive - 0.05, positive + 0.05],
        "negative": [1.05 - positive, 0.95 - positive],
        "feature_pull": {
            "first": {"support": still, "query": query},
            "second": {"support": support, "query": query},
        },
    }


@pytest.fixture(scope="session")
def make_probe() -> Callable[..., dict[str, Any]]:
    return trial_probe


@pytest.fixture(scope="session")
def make_trial() -> Callable[..., PlannedTrial]:
    return planned_trial


@pytest.fixture(scope="session")
def make_record() -> Callable[..., TrialRecord]:
    return trial_record


@pytest.fixture(scope="session")
def endpoint() -> Endpoint:
    return endpoint_of("test_accuracy", head="zeroed", steps=1, at="last", window=1)


class Store:
    """A real MLflow store on disk, written as a tracker writes it."""

    def __init__(self, folder: Path) -> None:
        from mlflow.tracking import MlflowClient

        self.folder = folder
        self.uri = f"sqlite:///{folder / 'store.db'}"
        self.client = MlflowClient(self.uri)
        self.experiments: dict[str, str] = {}

    def add(self, record: TrialRecord, experiment: str = "sweep", schema: str = "1", artifact: bool = True) -> str:
        """Track `record` and return its run id."""
        if experiment not in self.experiments:
            location = (self.folder / "artefacts of" / experiment).as_uri()
            self.experiments[experiment] = self.client.create_experiment(experiment, artifact_location=location)
        tags = {"sweeper.schema": schema, "sweeper.kind": "trial", "trial_id": record["trial_id"]}
        run_id = self.client.create_run(self.experiments[experiment], tags=tags).info.run_id
        if artifact:
            path = self.folder / "trial.json.gz"
            path.write_bytes(gzip.compress(json.dumps(record).encode()))
            self.client.log_artifact(run_id, str(path))
        return run_id


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store, made once and copied: making one takes a second."""
    folder = tmp_path_factory.mktemp("migrated")
    Store(folder).client.search_experiments()
    return folder / "store.db"


@pytest.fixture(scope="session")
def new_store(migrated: Path) -> Callable[[Path], Store]:
    """Return a maker of an empty store in a folder."""

    def make(folder: Path) -> Store:
        folder.mkdir()
        shutil.copy(migrated, folder / "store.db")
        return Store(folder)

    return make


@pytest.fixture
def store(tmp_path: Path, new_store: Callable[[Path], Store]) -> Store:
    return new_store(tmp_path / "results")
