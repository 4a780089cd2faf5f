"""Corollary 1, drawn: with the zeroing trick and one inner step, three algorithms train one encoder.

    python examples/corollary_1.py [--steps 30] [--out docs/images/corollary_1.png]

Full MAML, ANIL and the explicit contrastive loss start from the same encoder and see the same episodes of the built-in
characters, in float64. Drawn is how far the encoders are apart after each outer step.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure

from analysis.figures.style import RC, looks
from trainers.data.datasets import data_root, load, prepare
from trainers.maml import protocols
from trainers.maml.config import resolve
from trainers.maml.networks import HEAD, Params, initial_params
from trainers.maml.train import train

OTHERS = {"ANIL": {"algorithm": "anil"}, "explicit loss": {"algorithm": "contrastive"}}
HEADS = {"random head": 0, "head zeroed every step": 1}
EQUAL = 1e-17
"""Where a distance of zero is drawn: the encoders have the same bits."""


def encoders(steps: int, pixels: torch.Tensor, **changes: object) -> list[np.ndarray]:
    """Return the encoder before training and after each of `steps` outer steps, all its weights in one vector."""
    short = {"order": "first", "inner_steps": 1, "meta_batch_size": 2, "dtype": "float64", "outer_steps": steps}
    config = resolve(protocols.load("strokes") | short | {"eval_episodes": 1, "eval_steps": 0} | changes)
    found = {0: in_one_vector(initial_params(config))}
    for chunk in train([config], pixels, engine="fused", chunk_s=0.0):
        found[chunk.step] = in_one_vector(chunk.states()[0].params)
    return [found[step] for step in sorted(found)]


def in_one_vector(params: Params) -> np.ndarray:
    """Return the encoder's weights that training moves."""
    return np.concatenate([value.numpy().ravel() for name, value in params.items() if name not in HEAD and moves(name)])


def moves(name: str) -> bool:
    """Return whether a parameter of the encoder has a gradient.

    A convolution's bias before batch norm has none but rounding, which Adam turns into steps of full size.
    """
    return not (name.startswith("conv") and name.endswith("bias"))


def main() -> None:
    """Train, print the distances at the end, and draw."""
    parser = argparse.ArgumentParser(description="Corollary 1, drawn.")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--out", type=Path, default=Path("docs/images/corollary_1.png"))
    options = parser.parse_args()
    pixels = torch.from_numpy(load(prepare("strokes", data_root(None))))
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(6.6, 2.6), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, (head, every) in zip(panels, HEADS.items(), strict=True):
            maml = encoders(options.steps, pixels, algorithm="maml", zero_head_every=every)
            for look, (name, changes) in zip(looks(2), OTHERS.items(), strict=True):
                other = encoders(options.steps, pixels, zero_head_every=every, **changes)
                moved = np.linalg.norm(maml[-1] - maml[0])
                apart = [np.linalg.norm(one - two) / moved for one, two in zip(maml, other, strict=True)]
                print(f"{head}: {name} is {apart[-1]:.1e} of MAML's way from MAML after {options.steps} outer steps")
                shown = np.maximum(apart, EQUAL)
                axes.plot(shown, color=look.colour, linestyle=look.dash, label=name)
            axes.set_title(head, loc="left")
            axes.set_xlabel("outer step")
            axes.set_yscale("log")
        panels[0].set_ylabel("distance from MAML's encoder\n/ the way that training moved it")
        panels[0].set_yticks([EQUAL, 1e-12, 1e-8, 1e-4, 1], ["0", "1e−12", "1e−8", "1e−4", "1"])
        panels[0].legend(loc="center right")
        options.out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(options.out, dpi=200)
    print(options.out)


if __name__ == "__main__":
    main()
