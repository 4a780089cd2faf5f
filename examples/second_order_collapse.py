"""Draw what happens to second-order MAML on Omniglot without zeroing, from the committed evidence.

    python examples/second_order_collapse.py [--out docs/images/second_order_collapse.png]

Left: test accuracy after one inner step with the head zeroed at test. Right: the largest norm of one episode's
second-order gradient among 16 fixed training episodes. Lines are means over 4 seeds (right: of the logarithm), bands
the range over seeds.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.style import RC, looks

EVIDENCE = Path("sweeps/evidence/second_order_collapse-cpu")
PANELS = {
    ("evaluations.csv", "zeroed_1_steps"): "test accuracy (%)",
    ("probes.csv", "second_order_norm_max"): "largest gradient of one episode",
}


def main() -> None:
    """Read and draw."""
    parser = argparse.ArgumentParser(description="The collapse of second-order MAML, drawn.")
    parser.add_argument("--out", type=Path, default=Path("docs/images/second_order_collapse.png"))
    options = parser.parse_args()
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(6.6, 2.9), layout="constrained")
        for axes, ((file, column), title) in zip(figure.subplots(1, 2), PANELS.items(), strict=True):
            table = pd.read_csv(EVIDENCE / file)
            arms = list(dict.fromkeys(table["arm"]))
            norms = column.endswith("max")
            for look, arm in zip(looks(len(arms)), arms, strict=True):
                seeds = table[table["arm"] == arm].pivot(index="step", columns="seed", values=column)
                mean = np.exp(np.log(seeds).mean(axis=1)) if norms else 100 * seeds.mean(axis=1)
                low, high = (scale * edge for scale, edge in _edges(seeds, norms))
                axes.fill_between(seeds.index, low, high, color=look.colour, alpha=0.15, linewidth=0)
                axes.plot(mean, color=look.colour, marker=look.marker, markersize=3.5, linestyle=look.dash, label=arm)
            if norms:
                axes.set_yscale("log")
                axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
            axes.set_ylabel(title)
            axes.set_xlabel("outer step")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(options.out, dpi=200)
    print(options.out)


def _edges(seeds: pd.DataFrame, norms: bool) -> list[tuple[float, pd.Series]]:
    scale = 1.0 if norms else 100.0
    return [(scale, seeds.min(axis=1)), (scale, seeds.max(axis=1))]


if __name__ == "__main__":
    main()
