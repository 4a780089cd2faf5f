"""The sweep file: one YAML file that states a question as a grid, read strictly into a `Sweep`.

Checks what the sections of a file mean together; `sweeper.planning.expand` checks the combined values of a point.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from analysis.contract.question import NOT_APPLICABLE, ClaimSpec, Endpoint, FigureSpec, TableSpec
from sweeper.errors import Position, shown, suggest
from sweeper.sweepfile import yaml_source
from sweeper.sweepfile.axes import (
    Axis,
    AxisValue,
    Setting,
    known_field,
    label_of,
    labels_of,
    read_axis,
    read_plain_values,
    read_settings,
    read_value,
)
from sweeper.sweepfile.claims import read_claims
from sweeper.sweepfile.conditions import Condition, read_conditions
from sweeper.sweepfile.fields import Fields
from sweeper.sweepfile.form import ProfileForm, SweepForm, read_form
from sweeper.sweepfile.inclusions import Inclusion, completed, read_inclusions
from sweeper.sweepfile.readings import read_endpoint, read_figure, read_table
from sweeper.sweepfile.search_key import SearchSpec, read_search
from sweeper.sweepfile.shipped import located
from sweeper.sweepfile.trainer_key import Trainers, nothing_stored, read_trainers
from sweeper.sweepfile.yaml_source import Document, Faults, Place, Scalar
from trainers.trainer import Reference, Trainer

LARGEST_GRID = 1_000_000  # trials of one sweep


@dataclass(frozen=True, kw_only=True)
class Exclusion:
    """A partial match that removes cells from the grid: every label and every resolved field must agree."""

    labels: Mapping[str, str]
    fields: Mapping[str, Scalar]
    position: Position


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A variant of the grid: settings that override every axis, other values of some axes, other seeds (None: same).

    It has cells of its own beside the grid, and none of the sweep's.
    `slurm` has options for jobs of Slurm, which are no part of a trial.
    """

    name: str
    fixed: Mapping[str, Setting]
    values: Mapping[str, tuple[AxisValue, ...]]
    include: tuple[Inclusion, ...]
    seeds: tuple[int, ...] | None
    slurm: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One sweep file, read and checked as far as possible without resolving a point.

    `tried` are values of the command line, which override all others; see `sweeper.sweepfile.tries`.
    """

    path: Path
    name: str
    question: str
    paper: str | None
    fixed: Mapping[str, Setting]
    axes: tuple[Axis, ...]
    conditions: Mapping[str, Condition]
    exclude: tuple[Exclusion, ...]
    include: tuple[Inclusion, ...]
    seeds: tuple[int, ...]
    profiles: Mapping[str, Profile]
    endpoint: Endpoint
    claims: tuple[ClaimSpec, ...]
    tables: tuple[TableSpec, ...]
    figures: tuple[FigureSpec, ...]
    trainers: Trainers = field(repr=False, compare=False)
    search: SearchSpec | None = None
    document: Document = field(repr=False, compare=False)
    tried: Mapping[str, Setting] = field(default_factory=dict)

    @property
    def trainer(self) -> Trainer:
        """The trainer of the sweep, the first one if its axes choose among several."""
        return self.trainers.every[0].trainer

    @property
    def reference(self) -> Reference:
        """The reference of `trainer`."""
        return self.trainers.every[0].reference


def load(
    path: Path,
    stored: Callable[[Reference], Trainer | None] = nothing_stored,
    *,
    trusted: bool = True,
    text: str | None = None,
) -> Sweep:
    """Return the sweep in the file at `path`, or the shipped sweep of that name if there is no such file.

    `stored` returns what a results folder knows of a trainer that can't be found, or may not be run because the file is
    not `trusted`. With `text`, that is what the file held when it was read before. Raises SweepFileError with
    everything that is wrong with the file.
    """
    document = yaml_source.read(located(path)) if text is None else yaml_source.read_text(path, text)
    path, faults = document.path, Faults(document)
    trainers = read_trainers(faults, stored, trusted=trusted)
    fields = Fields(*(found.trainer for found in trainers.every))
    form, faulty = read_form(faults, fields)
    fixed = read_settings(faults, fields, ("fixed",), form.fixed)
    axes = {
        name: read_axis(faults, fields, ("matrix", name), name, given, trainers.of_axis.get(name, {}))
        for name, given in form.matrix.items()
    }
    sound = {name: axis for name, axis in axes.items() if axis is not None}
    _check_rivals(faults, sound.values())
    profiles: dict[str, Profile] = {}
    exclude: list[Exclusion] = []
    conditions: dict[str, Condition] = {}
    of_space: dict[str, Condition] = {}
    include: tuple[Inclusion, ...] = ()
    more: list[Mapping[str, Sequence[AxisValue]]] = []
    complete = len(sound) == len(axes)
    if "matrix" not in faulty:
        profiles = {name: _read_profile(faults, fields, name, given, axes) for name, given in form.profiles.items()}
        exclude = [_read_exclusion(faults, fields, index, given, axes) for index, given in enumerate(form.exclude)]
    if "matrix" not in faulty and complete:
        variants = {None: form.include} | {name: given.include for name, given in form.profiles.items()}
        entries = {
            name: read_inclusions(faults, fields, _place(name), given, sound) for name, given in variants.items()
        }
        more = [profile.values for profile in profiles.values()]
        more += [{axis: (value,) for axis, value in entry.items()} for each in entries.values() for entry in each]
        space = () if form.search is None else form.search.space
        every = read_conditions(faults, fields, form.when, sound, labels_of(sound, more), space)
        conditions = {name: condition for name, condition in every.items() if name in sound}
        of_space = {name: condition for name, condition in every.items() if name not in sound}
        cells = {name: completed(faults, _place(name), each, sound, conditions) for name, each in entries.items()}
        include = cells[None]
        profiles = {name: replace(profile, include=cells[name]) for name, profile in profiles.items()}
    if "matrix" not in faulty:
        sizes = {name: _largest(axis, include, profiles.values()) for name, axis in sound.items()}
        _check_report(faults, form, sizes, complete=complete)
    _check_size(faults, list(sound.values()), form.seeds, profiles.values())
    search = None
    if form.search is not None and "matrix" not in faulty:
        rivals = [(axis.name, axis.keys()) for axis in sound.values()]
        search = read_search(faults, fields, form.search, rivals, form.seeds, of_space)
        _check_searches(faults, list(sound.values()), form.seeds, form.search.trials)
    endpoint = read_endpoint(faults, fields, form.endpoint) if search is None else search.endpoint
    report = form.report
    tables = [
        read_table(faults, fields, ("report", "tables", n), given, endpoint) for n, given in enumerate(report.tables)
    ]
    figures = [
        read_figure(faults, fields, ("report", "figures", n), given, endpoint, sound)
        for n, given in enumerate(report.figures)
    ]
    claims = []
    if not faulty & {"matrix", "profiles"} and complete:
        claims = read_claims(faults, fields, form.claims, form.paper, endpoint, sound, more, conditions)
    faults.raise_if_any()
    return Sweep(
        path=path,
        name=form.name,
        question=form.question,
        paper=form.paper,
        fixed=fixed,
        axes=tuple(sound.values()),
        conditions=conditions,
        exclude=tuple(exclude),
        include=include,
        seeds=form.seeds,
        profiles=profiles,
        endpoint=endpoint,
        claims=tuple(claims),
        tables=tuple(tables),
        figures=tuple(figures),
        trainers=trainers,
        search=search,
        document=faults.document,
    )


def _place(profile: str | None) -> Place:
    return ("include",) if profile is None else ("profiles", profile, "include")


def _check_rivals(faults: Faults, axes: Iterable[Axis]) -> None:
    for first, second in combinations(axes, 2):
        for key in sorted(first.keys() & second.keys()):
            message = f"axis {first.name} sets {key} as well; only one axis can set a field"
            faults.add(("matrix", second.name), message, at_key=True)


def _read_profile(
    faults: Faults, fields: Fields, name: str, given: ProfileForm, axes: Mapping[str, Axis | None]
) -> Profile:
    place: Place = ("profiles", name)
    fixed = read_settings(faults, fields, (*place, "fixed"), given.fixed)
    for key in fixed:
        axis = axes.get(key)
        if axis is not None and not axis.bundled:
            faults.add((*place, "fixed", key), "is an axis; give its values in this profile's matrix", at_key=True)
    values = {}
    for key, chosen in given.matrix.items():
        inside = (*place, "matrix", key)
        axis = axes.get(key)
        if key not in axes and None not in axes.values():
            known = f"unknown axis; {suggest(key, axes)}"
            hint = f"{known}; a field that is not an axis takes one value, in this profile's fixed"
            faults.add(inside, hint if key in fields.names else known, at_key=True)
        if axis is not None:
            values[key] = _profile_values(faults, fields, inside, axis, chosen)
    return Profile(name=name, fixed=fixed, values=values, include=(), seeds=given.seeds, slurm=given.slurm)


def _profile_values(faults: Faults, fields: Fields, place: Place, axis: Axis, chosen: Any) -> tuple[AxisValue, ...]:
    if not axis.bundled:
        return read_plain_values(faults, fields, place, axis.name, chosen)
    if not isinstance(chosen, list) or not chosen:
        faults.add(place, f"must be a list of names of axis {axis.name}, got {shown(chosen)}")
        return ()
    known = {value.label: value for value in axis.values}
    picked = {}
    for index, label in enumerate(map(_label, chosen)):
        if label not in known:
            faults.add((*place, index), f"axis {axis.name} has no value {shown(label)}; {suggest(label, known)}")
        elif label in picked:
            faults.add((*place, index), f"value {label} is given twice; keep one")
        else:
            picked[label] = known[label]
    return tuple(picked.values())


def _label(given: Any) -> str:
    return shown(given) if isinstance(given, list | dict) else label_of(given)


def _read_exclusion(
    faults: Faults, fields: Fields, index: int, given: dict[str, Any], axes: Mapping[str, Axis | None]
) -> Exclusion:
    place: Place = ("exclude", index)
    labels: dict[str, str] = {}
    values: dict[str, Scalar] = {}
    if not given:
        faults.add(place, "matches everything; name at least one axis or field")
    for name, value in given.items():
        inside = (*place, name)
        if isinstance(value, list):
            faults.add(inside, f"takes one value, got {shown(value)}; write an entry for each")
        elif name == "use":
            faults.add(inside, "protocols can't be matched; name the axis that chooses them, or a field", at_key=True)
        elif name in axes:
            axis = axes[name]
            if axis is not None:
                labels[name] = _excluded_label(faults, fields, inside, axis, value)
        elif known_field(faults, fields, inside, name):
            setting = read_value(faults, fields, inside, name, value)
            values |= {} if setting is None else {name: setting.value}
    return Exclusion(labels=labels, fields=values, position=faults.document.at(place))


def _excluded_label(faults: Faults, fields: Fields, place: Place, axis: Axis, value: Any) -> str:
    label = _label(value)
    if not axis.bundled:
        setting = read_value(faults, fields, place, axis.name, value)
        if setting is None:
            return label
        label = label_of(setting.value)
    known = [value.label for value in axis.values]
    if label not in known:
        faults.add(place, f"axis {axis.name} has no value {shown(label)}; {suggest(label, known)}")
    return label


def _largest(axis: Axis, include: Iterable[Inclusion], profiles: Iterable[Profile]) -> int:
    """Return the largest number of labels that the axis has in the whole grid or in a profile."""

    def size(values: Iterable[AxisValue], cells: Iterable[Inclusion]) -> int:
        own = {cell.values[axis.name].label for cell in cells} - {NOT_APPLICABLE}
        return len({value.label for value in values} | own)

    variants = (size(profile.values.get(axis.name, ()), profile.include) for profile in profiles)
    return max([size(axis.values, include), *variants])


def _check_report(faults: Faults, form: SweepForm, sizes: Mapping[str, int], *, complete: bool) -> None:
    """Note axes with two roles, axes without a role, and (if all axes could be read: `complete`) unknown axes."""
    for index, table in enumerate(form.report.tables):
        roles: dict[Place, str] = {("rows", row): name for row, name in enumerate(table.rows)}
        roles[("columns",)] = table.columns
        _check_roles(faults, ("report", "tables", index), roles, "rows nor columns", sizes, complete)
    for index, figure in enumerate(form.report.figures):
        if figure.kind == "differences":
            if not form.claims:
                why = "differences shows the claims, and the file has none; add claims, or choose line"
                faults.add(("report", "figures", index, "kind"), why)
            continue
        roles = {(role,): name for role, name in (("x", figure.x), ("hue", figure.hue)) if name is not None}
        roles |= {("facets", facet): name for facet, name in enumerate(figure.facets)}
        _check_roles(faults, ("report", "figures", index), roles, "x, hue nor facets", sizes, complete)


def _check_roles(
    faults: Faults, place: Place, roles: Mapping[Place, str], missed: str, sizes: Mapping[str, int], complete: bool
) -> None:
    seen: set[str] = set()
    for role, name in roles.items():
        if name not in sizes and complete:
            hint = "seeds are averaged, so leave it out" if name in ("seed", "seeds") else suggest(name, sizes)
            faults.add((*place, *role), f"unknown axis {shown(name)}; {hint}")
        if name in seen:
            faults.add((*place, *role), f"axis {name} is named twice; give it one role")
        seen.add(name)
    for name, size in sizes.items():
        if size > 1 and name not in seen:
            message = f"axis {name} has {size} values and is in neither {missed}; name it, or they would be averaged"
            faults.add(place, message)


def _check_searches(faults: Faults, axes: Iterable[Axis], seeds: Sequence[int], trials: int) -> None:
    searches = math.prod(len(axis.values) for axis in axes) * len(seeds)
    if searches * trials > LARGEST_GRID:
        faults.add(
            ("search", "trials"),
            f"{searches:,} searches of {trials:,} trials; one sweep holds at most {LARGEST_GRID:,} trials",
        )


def _check_size(faults: Faults, axes: Sequence[Axis], seeds: Sequence[int], profiles: Iterable[Profile]) -> None:
    def check(place: Place, sizes: Iterable[int], replicates: int) -> None:
        trials = math.prod(sizes) * replicates
        if trials > LARGEST_GRID:
            faults.add(
                place, f"{trials:,} trials; one sweep holds at most {LARGEST_GRID:,}; give fewer values", at_key=True
            )

    check(("matrix",), (len(axis.values) for axis in axes), len(seeds))
    for profile in profiles:
        sizes = (len(profile.values.get(axis.name, axis.values)) for axis in axes)
        check(("profiles", profile.name), sizes, len(profile.seeds or seeds))
