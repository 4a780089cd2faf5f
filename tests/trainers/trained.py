"""A whole training, whether two ended alike, and a probe of one that has not begun."""

import numpy as np
import torch

from trainers.maml.episodes import Episode, gather, probe_draw
from trainers.maml.networks import Params, initial_params
from trainers.maml.probes import Probe, probe
from trainers.maml.run_state import RunState
from trainers.maml.train import train


def whole(config, pixels, states=None, **options):
    """Return every record and the last state of one run."""
    records, chunk = [], None
    for chunk in train([config], pixels, states=states, **options):
        records += chunk.runs[0].records
    return records, chunk.states()[0]


def same_bits(a: RunState, b: RunState) -> bool:
    tensors = [(a.params, b.params), *zip(a.moments, b.moments, strict=True)]
    return (
        a.step == b.step
        and a.records == b.records
        and np.array_equal(a.correct, b.correct)
        and all(torch.equal(x[name], y[name]) for x, y in tensors for name in x)
    )


def probed(config, pixels, params: Params | None = None) -> tuple[Probe, Params, Episode]:
    """Return a probe at the start, and what it looked at."""
    params = initial_params(config) if params is None else params
    episodes = gather(probe_draw(config), pixels, config)
    return probe(config, params, episodes), params, episodes
