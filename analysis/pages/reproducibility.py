"""The reproducibility page, from plans, records and cells: what ran, on what, what is missing and why.

It names every trial that did not run, failed, diverged, or ran with code that differs from the other trials'.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.contract.question import PlannedTrial
from analysis.contract.record import TrialRecord, dataset_of
from analysis.numbers.tables import Cell, where
from analysis.pages.compute import compute_table
from analysis.pages.contents import Section, TextTable
from analysis.pages.protocol import DEFAULT, SEED, paper_differences, written
from analysis.paper.deviations import DEVIATIONS, LICENCES, NOT_REPRODUCIBLE, TRAINER

NOT_RUN = "not run"
ENDED_BADLY = ("failed", "diverged")


@dataclass(frozen=True, kw_only=True)
class SweepEvidence:
    """One sweep's plan and cells (`analysis.numbers.tables.cells` over all axes); `why_not_run` is a reason or "".

    `paper` is the result that the sweep rebuilds, "" for none.
    """

    sweep: str
    plan: Sequence[PlannedTrial]
    cells: Sequence[Cell]
    why_not_run: str = ""
    paper: str = ""

    @property
    def of_maml(self) -> bool:
        """Whether its trials are of the trainer of the paper's methods."""
        return all(trial.trainer == TRAINER for trial in self.plan)


def reproducibility(
    sweeps: Sequence[SweepEvidence], records: Mapping[str, TrialRecord], libraries: Mapping[str, str]
) -> tuple[Section, ...]:
    """Return the page's sections, from `records` by trial id and the `libraries` (name -> version) of the report.

    A trial of several sweeps counts once in the compute. A record without attempts is not one of our runs. The sections
    on the paper are there if a sweep of its trainer rebuilds one of its results.
    """
    of_paper = any(evidence.paper and evidence.of_maml for evidence in sweeps)
    planned = {trial.trial_id for evidence in sweeps for trial in evidence.plan}
    found = {trial_id: record for trial_id, record in sorted(records.items()) if trial_id in planned}
    ours = {trial_id: record for trial_id, record in found.items() if record["attempts"]}
    return (
        *_deviations(sweeps, of_paper),
        _hyper_parameters(sweeps, of_paper),
        Section(title="Compute used", tables=(compute_table(ours.values()),)),
        _per_seed(sweeps),
        _holes(sweeps),
        _ended_badly(sweeps, found),
        mixed(ours),
        _versions(ours.values(), libraries),
        _data(ours.values()),
        *([Section(title="What can't be reproduced as printed, and why", items=NOT_REPRODUCIBLE)] if of_paper else ()),
    )


def mixed(records: Mapping[str, TrialRecord]) -> Section:
    """Return the section on runs whose code, recipe, data or machine differs from the others'.

    Code is compared among the trials of one trainer, and torch among those that have it.
    """
    facts: dict[str, Callable[[dict[str, Any]], Hashable]] = {
        "commit": lambda attempt: attempt["commit"],
        "device": lambda attempt: attempt["device"],
        "engine": lambda attempt: attempt["engine"],
    }
    items = [
        sentence
        for name, fact in facts.items()
        for sentence in _others(name, {key: _of_attempts(record, fact) for key, record in records.items()})
    ]
    with_torch = {key: r for key, r in records.items() if all("torch" in one["versions"] for one in r["attempts"])}
    items += _others("torch", {key: _of_attempts(record, _torch) for key, record in with_torch.items()})
    for trainer in sorted({record["trainer"] for record in records.values() if "trainer" in record}):
        users = {key: record for key, record in records.items() if record.get("trainer") == trainer}
        items += _others(f"code of {trainer}", {key: _of_attempts(record, _code) for key, record in users.items()})
    entries = sorted({entry for record in records.values() for entry in record["attempts"][-1]["recipe"]})
    for entry in entries:
        users = {key: record for key, record in records.items() if entry in record["attempts"][-1]["recipe"]}
        values = {key: str(record["attempts"][-1]["recipe"][entry]) for key, record in users.items()}
        items += _others(f"recipe {entry}", values)
    for dataset in sorted(set(map(dataset_of, records.values())) - {""}):
        users = {key: record for key, record in records.items() if dataset_of(record) == dataset}
        items += _others(f"digest of {dataset}", {key: _of_attempts(r, _digest) for key, r in users.items()})
    dirty = [key for key, record in records.items() if any(attempt["dirty"] for attempt in record["attempts"])]
    if dirty:
        items.append(f"Trained from a checkout with uncommitted changes: {', '.join(dirty)}.")
    alike = ["commit", "recipe", "data", "device", "engine"]
    alike += (["torch"] if with_torch else []) + (
        ["code"] if any("trainer" in record for record in records.values()) else []
    )
    listed = f"{', '.join(alike[:-1])} and {alike[-1]}"
    whole = f"All runs agree in {listed}, and none had uncommitted changes."
    none = "There are no runs."
    return Section(
        title="Mixed runs",
        paragraphs=() if items else (whole if records else none,),
        items=tuple(items),
    )


def _deviations(sweeps: Sequence[SweepEvidence], of_paper: bool) -> list[Section]:
    """Return the section on deviations from the paper, if a sweep rebuilds one of its results or has some."""
    plans = [evidence.plan for evidence in sweeps if evidence.of_maml]
    datasets = dict.fromkeys(trial.config["dataset"] for plan in plans for trial in plan)
    items = [*DEVIATIONS[""], *(f"{name}: {text}" for name in datasets for text in DEVIATIONS[name])]
    rows = [(evidence.sweep, difference) for evidence in sweeps for difference in paper_differences(evidence.plan)]
    table = TextTable(
        caption="Fields in which a sweep's config differs from the paper's.",
        heads=("sweep", "difference"),
        rows=tuple(rows),
    )
    if not (of_paper or rows):
        return []
    own = tuple(items) if of_paper else ()
    return [Section(title="Deviations from the paper", items=own, tables=(table,) if rows else ())]


def _hyper_parameters(sweeps: Sequence[SweepEvidence], of_paper: bool) -> Section:
    rows = []
    for evidence in sweeps:
        for field in dict.fromkeys(name for trial in evidence.plan for name in trial.config):
            used: dict[str, dict[str, None]] = {}
            for trial in evidence.plan:
                if field != SEED and trial.origins.get(field, DEFAULT) != DEFAULT:
                    used.setdefault(trial.origins[field], {})[written(trial.config[field])] = None
            rows += [(evidence.sweep, field, ", ".join(values), origin) for origin, values in used.items()]
    text = (
        "We tuned no hyper-parameter. A protocol file has the values of the authors' released code. A sweep file sets "
        "the axes of the paper, and a length and size that the machine could afford. The trainer's defaults are in "
        "each sweep's protocol."
    )
    table = TextTable(
        caption="Every value that is not a default.", heads=("sweep", "field", "values", "from"), rows=tuple(rows)
    )
    paragraphs = (text,) if of_paper else ()
    return Section(title="Where hyper-parameters come from", paragraphs=paragraphs, tables=(table,))


def _per_seed(sweeps: Sequence[SweepEvidence]) -> Section:
    maml = all(evidence.of_maml for evidence in sweeps)
    rows = tuple(
        (
            evidence.sweep,
            where(cell),
            "; ".join(f"seed {seed}: {_value(value, cell, maml)}" for seed, value in read.items()),
        )
        for evidence in sweeps
        for cell in evidence.cells
        if (read := dict(sorted(cell.values.items())))
    )
    table = TextTable(
        caption=f"Endpoint of every seed{'; accuracies in percent' * maml}.",
        heads=("sweep", "cell", "values"),
        rows=rows,
    )
    return Section(title="Values per seed", tables=(table,))


def _value(value: float, cell: Cell, maml: bool) -> str:
    """Return a value with its unit and one decimal more than a mean has; a table of MAML says percent once."""
    scale, digits, name = cell.unit
    return f"{scale * value:.{digits + 1}f}{f' {name}' if name and not maml else ''}"


def _holes(sweeps: Sequence[SweepEvidence]) -> Section:
    rows = []
    for evidence in sweeps:
        for cell in evidence.cells:
            reasons: dict[str, list[str]] = {}
            for miss in cell.missing:
                reasons.setdefault(miss.reason, []).append(str(miss.seed))
            for reason, seeds in reasons.items():
                why = f"; {evidence.why_not_run}" if reason == NOT_RUN and evidence.why_not_run else ""
                rows.append((evidence.sweep, where(cell), ", ".join(seeds), f"{reason}{why}"))
    if not rows:
        return Section(title="Planned seeds without a value", paragraphs=("Nothing: every planned trial has a value.",))
    table = TextTable(
        caption="Planned seeds without a value, with the reason.",
        heads=("sweep", "cell", "seeds", "reason"),
        rows=tuple(rows),
    )
    return Section(title="Planned seeds without a value", tables=(table,))


def _ended_badly(sweeps: Sequence[SweepEvidence], records: Mapping[str, TrialRecord]) -> Section:
    names = {
        trial.trial_id: f"{evidence.sweep}: {', '.join(trial.labels.values())}"
        for evidence in reversed(sweeps)
        for trial in evidence.plan
    }
    rows = tuple(
        (trial_id, names[trial_id], str(record["seed"]), record["status"], f"{record['step']:,}", _line(record))
        for trial_id, record in records.items()
        if record["status"] in ENDED_BADLY
    )
    if not rows:
        return Section(title="Failed and diverged runs", paragraphs=("None.",))
    step = "outer step" if all(evidence.of_maml for evidence in sweeps) else "step"
    heads = ("trial", "cell", "seed", "status", step, "message")
    table = TextTable(
        caption="Runs that failed or diverged, with the first line of their message.",
        heads=heads,
        rows=rows,
        numeric=(2, 4),
    )
    return Section(title="Failed and diverged runs", tables=(table,))


def _versions(records: Iterable[TrialRecord], libraries: Mapping[str, str]) -> Section:
    used: dict[str, set[str]] = {}
    for record in records:
        for attempt in record["attempts"]:
            for package, version in attempt["versions"].items():
                used.setdefault(package, set()).add(version)
    rows = tuple(
        (package, libraries.get(package, ""), ", ".join(sorted(used.get(package, ()))))
        for package in sorted(libraries.keys() | used)
    )
    table = TextTable(
        caption="Package versions of the report and of the runs.", heads=("package", "report", "runs"), rows=rows
    )
    return Section(title="Versions", tables=(table,))


def _data(records: Iterable[TrialRecord]) -> Section:
    digests: dict[str, set[str]] = {}
    for record in records:
        if name := dataset_of(record):
            digests.setdefault(name, set()).update(map(_digest, record["attempts"]))
    rows = tuple((name, digest, LICENCES.get(name, "")) for name in sorted(digests) for digest in sorted(digests[name]))
    array = digests.keys() <= LICENCES.keys()
    what = "converted array (uint8, classes x images x channels x height x width)" if array else "content"
    table = TextTable(caption=f"sha256 of each data set's {what}.", heads=("data set", "digest", "licence"), rows=rows)
    none = "The trainer's own code reads its data; no digest is recorded."
    return Section(title="Data", tables=(table,)) if rows else Section(title="Data", paragraphs=(none,))


def _digest(attempt: dict[str, Any]) -> str:
    return attempt["digest"]


def _torch(attempt: dict[str, Any]) -> str:
    return attempt["versions"]["torch"]


def _code(attempt: dict[str, Any]) -> str:
    return attempt["code"]


def _of_attempts(record: TrialRecord, fact: Callable[[dict[str, Any]], Hashable]) -> str:
    return ", then ".join(dict.fromkeys(str(fact(attempt)) for attempt in record["attempts"]))


def _others(name: str, values: Mapping[str, str]) -> list[str]:
    """Return one sentence with the trials of each value except the most common one; none if all agree."""
    groups: dict[str, list[str]] = {}
    for trial_id, value in values.items():
        groups.setdefault(value, []).append(trial_id)
    if len(groups) < 2:
        return []
    most = max(groups, key=lambda value: (len(groups[value]), value))
    return [
        f"{name} {value}: {', '.join(trials)}; {len(groups[most]):,} trials have {most}."
        for value, trials in sorted(groups.items())
        if value != most
    ]


def _line(record: TrialRecord) -> str:
    """Return the first line of a message; for a traceback, the line of the error."""
    lines = record["message"].strip().splitlines()
    traces = [number for number, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    after = lines[traces[-1] + 1 :] if traces else lines
    return next((line for line in after if line[:1].strip()), "")
