"""A linear classifier of scikit-learn on handwritten digits, as a trainer of sweeper. `digits.yaml` asks about it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier

from sweeper import Metric, trainer

TRAINING_IMAGES = 1200  # of 1797; the others are for validation


@dataclass
class Config:
    """The fields of a trial. A sweep file sets them."""

    loss: Literal["hinge", "log_loss"] = "hinge"
    step_size: float = field(default=0.01, metadata={"gt": 0, "description": "of stochastic gradient descent"})
    wrong_labels: float = field(default=0.0, metadata={"ge": 0, "le": 1, "description": "share drawn at random"})
    epochs: int = 20
    seed: int = 0


ACCURACY = Metric(
    words="Accuracy", unit="%", better="higher", coordinates={"split": ("val", "train")}, least=0.0, most=1.0
)


@trainer(metrics={"accuracy": ACCURACY}, length="epochs")
def digits(config: Config, state: dict) -> Iterator[dict[str, float]]:
    """Yield the accuracies of each epoch. `state` holds what is needed to go on from there."""
    images, labels = load_digits(return_X_y=True)
    draws = np.random.default_rng(config.seed)
    train, val = np.split(draws.permutation(len(images)), [TRAINING_IMAGES])
    given = labels.copy()
    wrong = draws.random(len(given)) < config.wrong_labels
    given[wrong] = draws.integers(0, 10, wrong.sum())

    model = SGDClassifier(loss=config.loss, learning_rate="constant", eta0=config.step_size, shuffle=False)
    model.partial_fit(images[:1] / 16, labels[:1], classes=np.arange(10))  # gives the weights their shapes
    if not state:
        state |= {"epoch": 0, "weights": np.zeros((10, 64)), "biases": np.zeros(10)}
    model.coef_, model.intercept_ = state["weights"], state["biases"]

    while True:
        order = np.random.default_rng([config.seed, state["epoch"]]).permutation(train)
        model.partial_fit(images[order] / 16, given[order])
        state |= {"epoch": state["epoch"] + 1, "weights": model.coef_, "biases": model.intercept_}
        yield {
            "accuracy/train": model.score(images[train] / 16, given[train]),
            "accuracy/val": model.score(images[val] / 16, labels[val]),
        }
