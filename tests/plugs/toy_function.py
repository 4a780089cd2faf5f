"""A toy trainer of twenty lines: a number that walks towards the learning rate. It resumes, and needs no library."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from sweeper import trainer


@dataclass
class Config:
    """The fields of a trial."""

    lr: float = 0.1
    steps: int = 6
    seed: int = 0


@trainer(metrics={"closeness": {"better": "higher"}, "loss": {"better": "lower"}}, length="steps")
def toy(config: Config, state: dict) -> Iterator[dict[str, float]]:
    if not state:
        state |= {"w": 0.0, "draws": random.Random(config.seed).getstate()}
    while True:
        draws = random.Random()
        draws.setstate(state["draws"])
        state["w"] += config.lr * (1 - state["w"]) + draws.gauss(0, 0.01)
        state["draws"] = draws.getstate()
        loss = abs(1 - state["w"])
        yield {"closeness": 1 - loss, "loss": loss}
