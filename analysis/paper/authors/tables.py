"""Computes the tables of `analysis/paper/published` as text; the same raw file gives the same bytes."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from analysis.paper.authors.cosine import SWEEP as COSINE_SWEEP
from analysis.paper.authors.cosine import cosine_plotted, cosine_values
from analysis.paper.authors.families import AXES, FAMILIES, SOURCES, Source
from analysis.paper.authors.figures import FIGURES, Figure
from analysis.paper.authors.raw import read_raw
from analysis.paper.authors.smoothing import RAW
from analysis.paper.authors.values import of_source, plotted, values

MEASURED = "mean of the last 5 evaluations at or before the outer step, step 0 left out; each head by itself"
COSINE_DRAWN = (
    "Fig. 2 shows the mean over 10 seeds of one fixed task of 20 support and 20 query images a class, after 1, 11 and "
    "101 updates."
)
COSINE_DIFFERS = (
    "Its query-to-query diagonal has each image paired with itself, which lifts it by up to 0.035; the panel called "
    "100 is after 101 updates, and the first panel shows absolute values."
)


def tables(raw_path: Path) -> dict[str, str]:
    """Return file name -> CSV text of every table that is computed from the raw file."""
    raw = read_raw(raw_path)
    found = {f"{sweep}.csv": _text(values(raw, sweep)) for sweep in SOURCES}
    found[f"{COSINE_SWEEP}.csv"] = _text(cosine_values(raw))
    found[f"{COSINE_SWEEP}_plotted.csv"] = _text(cosine_plotted(raw))
    for sweep in SOURCES:
        drawn = [plotted(raw, figure) for figure in FIGURES if figure.sweep == sweep]
        if drawn:
            found[f"{sweep}_plotted.csv"] = _text(pd.concat(drawn, ignore_index=True))
    found["rules.csv"] = _text(rules(raw))
    return dict(sorted(found.items()))


def rules(raw: pd.DataFrame) -> pd.DataFrame:
    """Return the source of every number: one row per rule of `<sweep>.csv` and per figure of `<sweep>_plotted.csv`.

    `runs` is the number of runs, `evaluations` that of each run. `drawn` and `differs` are sentences on the figure.
    """
    rows = [_measured(raw, sweep, source) for sweep, sources in SOURCES.items() for source in sources]
    rows += [_drawn(figure) for figure in FIGURES]
    rows += [
        _row(COSINE_SWEEP, "Fig. 2", kind, "cos_sim_analysis/pickles/*.pickle", "", smoothing, drawn, differs)
        for kind, smoothing, drawn, differs in (
            ("measured", "none; one number a seed", "", ""),
            ("plotted", "mean of 10 seeds", COSINE_DRAWN, COSINE_DIFFERS),
        )
    ]
    return pd.DataFrame(rows).sort_values(["sweep", "kind", "rule"], ignore_index=True)


def _measured(raw: pd.DataFrame, sweep: str, source: Source) -> Mapping[str, object]:
    found = of_source(raw, source)
    family = FAMILIES[source.family]
    steps = " and ".join("as in training" if step == "inner_steps" else str(step) for step in source.test_steps)
    return _row(sweep, source.rule, "measured", family.files, steps, MEASURED, "", "") | {
        "runs": str(len({run.file.rpartition("/")[0] for run in found})),
        "evaluations": " or ".join(sorted({str(len(run.updates)) for run in found}, key=int)),
        "test_episodes": str(family.episodes),
        "true_spacing": _spacing(source.family),
        "x_spacing": str(family.x_spacing),
    }


def _drawn(figure: Figure) -> Mapping[str, object]:
    family = FAMILIES[figure.family]
    rows = "all evaluations" if figure.rows is None else f"the first {figure.rows} evaluations"
    over = "rows by turns as trained and zeroed" if figure.mixed else rows
    smoothing = (
        f"mean over seeds; the first {RAW} of {over} as they are, then each with the {figure.width - 1} after it"
    )
    steps = "as in training" if figure.test_steps == "inner_steps" else str(figure.test_steps)
    return _row(figure.sweep, figure.name, "plotted", family.files, steps, smoothing, figure.drawn, figure.differs) | {
        "test_episodes": str(family.episodes),
        "true_spacing": _spacing(figure.family),
        "x_spacing": str(family.x_spacing),
    }


def _row(
    sweep: str, rule: str, kind: str, files: str, test_steps: str, smoothing: str, drawn: str, differs: str
) -> dict[str, object]:
    return {
        "sweep": sweep,
        "rule": rule,
        "kind": kind,
        "files": files,
        "axes": " ".join(AXES[sweep]),
        "test_steps": test_steps,
        "smoothing": smoothing,
        "drawn": drawn,
        "differs": differs,
    }


def _spacing(family: str) -> str:
    every = FAMILIES[family].eval_every
    return "13 evaluations per 2500: 0, 200 ... 2400" if every == 100 else str(every)


def _text(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, float_format="%.5f", lineterminator="\n")
