"""What a terminal shows of searches: their budgets, how far they are, and the best that they have found."""

from collections.abc import Sequence
from typing import Any

from sweeper.host.devices import likely_device
from sweeper.planning.searched import Search
from sweeper.results.estimate import cost_per_step, duration
from sweeper.results.paths import Results
from sweeper.results.survey import Survey
from sweeper.results.trial_summary import cost_class_of
from sweeper.search.journal import read_state
from sweeper.search.state import State, best, expected_steps
from sweeper.search.trials import KnownSearch, rules_of

UNITS = {"%": 100.0}


def budget_sentence(search: Search, results: Results) -> str:
    """Return how many proposals a search has left, and what its whole budget is."""
    state = read_state(results.search(search.search_id))
    asked = len(state.proposals)
    begun = f"{asked} of {search.spec.trials} proposed" if asked else f"{search.spec.trials} to propose"
    return f"search {search.search_id}  {search.name}: {begun} by {search.spec.sampler}, {budget(search)}"


def budget(search: Search) -> str:
    """Return the steps that the trials of a search take, with halving and without, and those of its confirmation."""
    spec, rungs = search.spec, search.rungs
    if not search.length:
        said = "each to its own end"
    else:
        whole = spec.trials * rungs[-1]
        said = f"{whole:,} steps"
        if spec.rungs is not None:
            halved = expected_steps(rungs, spec.rungs.factor, spec.trials)
            at = ", ".join(map(str, rungs))
            said = f"about {halved:,} steps with rungs at {at} (without: {whole:,})"
    if spec.confirm is None:
        return said
    seeds, count = len(spec.confirm.seeds), min(spec.confirm.best, spec.trials)
    more = f" of {search.length} steps" if search.length else ""
    return f"{said}; then {count * seeds} trials{more} confirm the best {count} with {seeds} fresh seeds"


def plan_lines(searches: Sequence[KnownSearch], surveyed: Survey, workers: int) -> list[str]:
    """Return the budget of each search, how far it is, and the time that all of them may take."""
    lines = []
    for known in searches:
        lines.append(f"search {known.search.search_id}  {known.search.name}: {budget(known.search)}")
        if known.state.proposals:
            lines.append(f"  {progress_line(known).partition(': ')[2]}")
    seconds = [_seconds(known, surveyed) for known in searches]
    known_s = [one for one in seconds if one is not None]
    if len(known_s) < len(seconds):
        return [*lines, "no estimate yet, since no trial like these has finished"]
    device = likely_device()
    return [
        *lines,
        f"at most {duration(sum(known_s) / workers)} on {workers} {device} worker{'s' if workers > 1 else ''}",
    ]


def _seconds(known: KnownSearch, surveyed: Survey) -> float | None:
    """Return the worker seconds of what a search may still train, None if no trial like its own has finished."""
    search = known.search
    costs = cost_per_step(surveyed.summaries.values())
    own = [costs.get(cost_class_of(spec.trainer, spec.cell_config, likely_device())) for spec in search.examples]
    own += [costs.get(cost_class_of(one.spec.trainer, one.spec.cell_config, likely_device())) for one in known.trials]
    found = [cost for cost in own if cost is not None]
    if not found or not search.length:
        return None
    rules = rules_of(search)
    steps = expected_steps(search.rungs, rules.factor, rules.trials) if len(search.rungs) > 1 else 0
    steps = steps or rules.trials * search.length
    confirm = search.spec.confirm
    steps += 0 if confirm is None else confirm.best * len(confirm.seeds) * search.length
    done = sum(summary.step for one in known.trials if (summary := surveyed.summaries.get(one.spec.trial_id)))
    return max(steps - done, 0) * max(found)


def search_facts(known: KnownSearch) -> dict[str, Any]:
    """Return what a machine reads of a search."""
    search, state, rules = known.search, known.state, rules_of(known.search)
    leader = best(state, rules.better, 1)
    reached = state.proposals[leader[0]].reached if leader else None
    return {
        "search": search.search_id,
        "cell": dict(search.cell.labels),
        "seed": search.seed,
        "sampler": search.spec.sampler,
        "trials": rules.trials,
        "proposed": len(state.proposals),
        "pending": list(state.pending),
        "rungs": list(search.rungs),
        "steps": expected_steps(search.rungs, rules.factor, rules.trials),
        "steps_without_rungs": rules.trials * search.rungs[-1],
        "best": None
        if reached is None
        else {
            "proposal": reached.number,
            "trial": state.proposals[reached.number].trial,
            "params": dict(state.proposals[reached.number].params),
            "rung": search.rungs[reached.rung],
            "value": reached.value,
        },
        "chosen": [list(choice.best) for choice in state.choices],
    }


def progress_line(known: KnownSearch) -> str:
    """Return how far a search is: proposals, values at each rung, and the best so far."""
    search, state = known.search, known.state
    parts = [f"{len(state.proposals)} of {search.spec.trials} proposed"]
    if search.spec.rungs is not None:
        counts = [sum(heard.rung == rung for heard in state.history) for rung in range(len(search.rungs))]
        parts += [f"{count} at {steps}" for count, steps in zip(counts, search.rungs, strict=True) if count]
    parts += _unlucky(state)
    if state.pending:
        parts.append(f"{len(state.pending)} pending")
    if leader := best(state, search.spec.better, 1):
        parts.append(leader_words(known, leader[0]))
    return f"search {search.search_id}  {search.name}: {', '.join(parts)}"


def _unlucky(state: State) -> list[str]:
    ends = [heard.end for heard in state.history if heard.end != "done"]
    doubled = sum(made.duplicate is not None for made in state.proposals)
    counted = [f"{ends.count(end)} {end}" for end in dict.fromkeys(ends)]
    return [*counted, *([f"{doubled} duplicate{'s' * (doubled > 1)}"] if doubled else [])]


def leader_words(known: KnownSearch, number: int) -> str:
    """Return a proposal with its value, the rung it is read at, and its point."""
    search, made = known.search, known.state.proposals[number]
    reached = made.reached
    assert reached is not None and reached.value is not None
    unit = search.metric.declared.unit
    value = f"{UNITS.get(unit, 1.0) * reached.value:.4g}{f' {unit}' if unit else ''}"
    steps = search.rungs[reached.rung]
    at = f" at step {steps}" if steps else ""
    point = ", ".join(f"{dimension.name} {made.params[dimension.name]}" for dimension in search.space)
    return f"best is proposal {number} with {search.metric.name} {value}{at} ({point})"
