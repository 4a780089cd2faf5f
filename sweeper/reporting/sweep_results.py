"""What `sweeper.results` and `sweeper.plan` return to a notebook: the numbers of a report as DataFrames and figures.

Reads the evidence as a report does. Writes no file, and computes nothing itself: `analysis` does.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.errors import SweepError, of_os
from sweeper.planning.selectors import select
from sweeper.reporting.answers import published_for
from sweeper.reporting.answers import read as read_evidence
from sweeper.reporting.request import Options, Part, understand
from sweeper.results.known_trainers import sweep_in
from sweeper.results.paths import Results
from sweeper.results.survey import survey
from sweeper.search.trials import planned as planned_trials

if TYPE_CHECKING:
    import pandas as pd

    from analysis.figures.notebook import NotebookFigure
    from analysis.report.sweep_report import Found
    from analysis.store import Loaded

_LOG = logging.getLogger("sweeper")
_OPTIONS = {"tracking-uri": "tracking_uri=", "mix-engines": "mix_engines=True", "from": "raw="}
_OPTIONS |= {name: f"{name}=" for name in ("results", "profile", "only")} | {"set": "settings="}


@dataclass(frozen=True, kw_only=True, repr=False)
class SweepResults:
    """One sweep's results, as they were when they were read. Every frame is made new, so that it may be changed.

    Percentages such as accuracies are fractions in [0, 1], losses of MAML are in nats. An axis of the sweep has a
    column with its name, or `NAME (axis)` where the frame has a column NAME of its own. The values of an axis are
    numbers, or ordered categories in the order of the sweep file. NaN is a number that is not there.
    """

    part: Part
    found: "Found"
    loaded: "Loaded"
    raw: Path | None

    @property
    def name(self) -> str:
        """The sweep's name in the tracking store: `NAME`, or `NAME@PROFILE` under a profile."""
        return self.part.asked.sweep

    @property
    def question(self) -> str:
        """The question that the sweep file asks."""
        return self.part.asked.question

    @property
    def answer(self) -> str:
        """The sentence with which the report answers."""
        return self.found.page.sentence

    def __repr__(self) -> str:
        plan = self.part.asked.plan
        tracked = sum(trial.trial_id in self.loaded.records for trial in plan)
        return f"{self.name}: {self.question}\n{len(plan)} trials planned, {tracked} with results.\n{self.answer}"

    def trials(self, *, config: bool = False) -> "pd.DataFrame":
        """Return one row per planned trial.

        Columns: trial_id, seed, axes, cell, status ("new" if it has no results), step (reached), target (0: no length),
        attempts (their number), engine, device, message, run_id (in MLflow). With `config`, each field of the trial's
        config that has no column yet follows.
        """
        from analysis.report import frames

        return frames.trials(self.part.asked.plan, self.loaded, config=config)

    def endpoints(self) -> "pd.DataFrame":
        """Return the number that the sweep file declares, one row per planned trial and step that is read.

        Columns: trial_id, seed, axes, cell, at ("last" or the step), read_step (its number), value (a percentage is a
        fraction; NaN if there is none), reason ("" if there is a value), evaluations (how many are averaged).
        """
        from analysis.report import frames

        return frames.endpoints(self.found.readings, self.part.asked.endpoint)

    def cells(self) -> "pd.DataFrame":
        """Return the endpoint of every cell: mean, sd (ddof 1) and 95 % t-interval over its seeds.

        Columns: axes, at, n (seeds with a value), planned (seeds), mean, sd, low, high, evaluations, missing.
        """
        from analysis.report import frames

        return frames.cells(self.part.asked.plan, self.found.cells)

    def readings(self) -> "pd.DataFrame":
        """Return every number that a trainer other than MAML measured, one row per step and metric.

        Columns, as in `readings.csv.gz` of raw data: trial_id, seed, axes, attempt, engine, device, step, metric (such
        as accuracy/val), value (as measured; a percentage is a fraction), time_ms (since 1970). Raises SweepError for
        MAML, whose numbers are in `curves` and `training`.
        """
        from analysis.report import frames

        if self._trainers == {"maml"}:
            raise SweepError(f"readings(): {self.name} is of the trainer maml; use curves(), training() or episodes()")
        return frames.readings(self.part.asked.plan, self.loaded.records)

    @property
    def _trainers(self) -> set[str]:
        return {trial.trainer for trial in self.part.asked.plan}

    def _require_maml(self, what: str) -> None:
        if "maml" not in self._trainers:
            trainer = self.part.asked.plan[0].trainer
            raise SweepError(f"{what}(): {self.name} is of the trainer {trainer}; its numbers are in readings()")

    def curves(self) -> "pd.DataFrame":
        """Return every evaluation of MAML, one row per head and number of inner steps.

        Columns, as in `data.csv.gz` of raw data: trial_id, seed, axes, attempt, engine, device, pass ("training" or
        "final"), split, step (outer steps), head (at the start of the adaptation), inner_steps (before scoring),
        episodes, accuracy and sd (fractions; over episodes, ddof 1), time_ms (since 1970). Raises SweepError for
        another trainer, as `training` and `episodes` do.
        """
        from analysis.report import frames

        self._require_maml("curves")
        return frames.curves(self.part.asked.plan, self.loaded.records)

    def training(self) -> "pd.DataFrame":
        """Return the training curves, one row per point.

        Columns: trial_id, seed, axes, step (outer steps), query_loss (nats), query_accuracy (a fraction), time_ms.
        """
        from analysis.report import frames

        self._require_maml("training")
        return frames.training(self.part.asked.plan, self.loaded.records)

    def episodes(self) -> "pd.DataFrame":
        """Return the scores of each trial's last pass, one row per episode, head and number of inner steps.

        Columns: trial_id, seed, axes, step (outer steps), head, inner_steps, episode (from 0; all trials with the same
        data and task see the same episodes), correct (query images), queries (their number), accuracy (a fraction).
        Raises SweepError for raw data, which lacks these scores.
        """
        from analysis.report import frames

        self._require_maml("episodes")
        if self.raw is not None:
            raise SweepError(
                f"{self.raw}: raw data lacks the scores of single episodes; read them from the results folder, with "
                "sweeper.results(FILE, FOLDER)"
            )
        return frames.episodes(self.part.asked.plan, self.loaded.records)

    def table(self, number: int = 0) -> "pd.DataFrame":
        """Return a table of the sweep file, counted from 0, one row per cell; columns as in `cells`.

        `table(n).attrs["caption"]` says what it shows. Raises SweepError if there is no such table.
        """
        return self._table("table", number)

    def contrast(self, number: int = 0) -> "pd.DataFrame":
        """Return a table of differences between two labels of an axis, paired by seed, counted from 0.

        Columns: the other axes, at, contrast (which label minus which), n (common seeds), difference, low and high
        (95 % t-interval), p (paired t-test, not adjusted). Raises SweepError if there is no such table.
        """
        return self._table("contrast", number)

    def _table(self, kind: str, number: int) -> "pd.DataFrame":
        from analysis.report import frames

        count = sum(name.startswith(f"{kind}_") for name in self.found.tables)
        made = self.found.tables[f"{kind}_{_counted(kind, number, count) + 1}"]
        frame = frames.cells(self.part.asked.plan, made.cells.values())
        frame.attrs["caption"] = made.caption
        return frame

    def figure(self, number: int = 0) -> "NotebookFigure":
        """Return a figure of the sweep file, counted from 0, as the report draws it; a notebook shows it.

        Raises SweepError if there is no such figure.
        """
        from analysis.figures.notebook import for_notebook
        from analysis.report.pictures import draw

        asked, theirs = self.part.asked, published_for(self.part.sweep, self.part.asked)
        spec = asked.figures[_counted("figure", number, len(asked.figures))]
        drawn = draw(self.found.readings, self.found.judged, spec, asked.question, asked.endpoint, theirs)
        return for_notebook(drawn.figure)

    def claims(self) -> "pd.DataFrame":
        """Return one row per claim of the sweep file, with its verdict; empty if it declares none.

        Columns: claim, source, contrast, kind, primary, verdict, n (common seeds), difference (percentages: fractions),
        low and high (interval at confidence `level`), level (0.90 for an equivalence, else 0.95), p, adjusted_p (Holm's
        over the primary claims), margin, authors_n (their seeds), authors_difference.
        """
        from analysis.report import frames

        return frames.claims(self.found.judged)


def read(
    sweep: str | Path | None,
    results: str | Path,
    *,
    profile: str | None,
    tracking_uri: str | None,
    only: Sequence[str],
    settings: Sequence[str],
    raw: str | Path | None,
    mix_engines: bool,
) -> SweepResults:
    """Return the results of one sweep, see `sweeper.results`. Raises SweepError."""
    if sweep is None and raw is None:
        raise SweepError("give the path of a sweep file, the name of a shipped sweep, or a folder as raw=")
    folder = None if raw is None else Path(raw)
    with _in_python():
        request = understand(
            Options(
                results=Results.at(Path(results)),
                files=() if sweep is None else (Path(sweep),),
                profile=profile,
                tracking_uri=tracking_uri,
                only=_several(only),
                settings=_several(settings),
                data=folder,
                formats=("csv",),
                mix_engines=mix_engines,
            )
        )
        ((found, loaded),) = read_evidence(request, _LOG.warning)
    return SweepResults(part=request.parts[0], found=found, loaded=loaded, raw=folder)


def planned(
    sweep: str | Path,
    results: str | Path,
    *,
    profile: str | None,
    only: Sequence[str],
    settings: Sequence[str],
    config: bool,
) -> "pd.DataFrame":
    """Return a row per planned trial, see `sweeper.plan`. Raises SweepError."""
    from analysis.report import frames

    with _in_python():
        folder = Results.at(Path(results))
        found = sweep_in(Path(sweep), folder, _several(settings))
        specs = planned_trials(found, profile, folder, folder.digests())
        chosen = {spec.trial_id for spec in select(specs, _several(only), "only=")}
        standings = [one for one in survey(folder, specs).standings if one.spec.trial_id in chosen]
    plan = [one.spec.planned() for one in standings]
    facts: dict[str, list[Any]] = {
        "cell": [trial.cell for trial in plan],
        "target": [trial.target for trial in plan],
        "state": [one.state for one in standings],
        "why": [one.why for one in standings],
    }
    frame = frames.plan_frame(plan, facts)
    return frames.with_config(frame, plan) if config else frame


def _several(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return the selectors or settings; one text is one of them, not a sequence of letters."""
    return (given,) if isinstance(given, str) else tuple(given)


def _counted(kind: str, number: int, count: int) -> int:
    """Return `number` if the sweep has it. Raises SweepError."""
    if 0 <= number < count:
        return number
    has = f"has {count} {kind}{'' if count == 1 else 's'}, counted from 0" if count else f"has no {kind}"
    raise SweepError(f"{kind}({number}): the report of this sweep {has}")


@contextmanager
def _in_python() -> Iterator[None]:
    """Name arguments of Python where an error for the user names options of a command, and explain errors of files."""
    try:
        yield
    except SweepError as error:
        parts = str(error).split("`")  # commands in backticks keep their options
        parts[::2] = (re.sub(r"--([a-z-]+)( none)?", _argument, part) for part in parts[::2])
        error.args = ("`".join(parts),)
        raise
    except OSError as error:
        raise of_os(error) from None


def _argument(found: re.Match[str]) -> str:
    name = _OPTIONS.get(found[1])
    return found[0] if name is None else name + ("'none'" if found[2] else "")
