"""The choices of method in a trial's config, and the combinations of them that have no meaning. Loads no torch.

Knows the fields by name alone; `config` declares them.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

Algorithm = Literal["maml", "anil", "contrastive", "boil", "reptile", "imaml"]
InnerRates = Literal["fixed", "per_parameter", "per_layer_per_step"]
QueryLosses = Literal["last_step", "every_step"]

UNROLLED: tuple[Algorithm, ...] = ("maml", "anil", "boil")
"""The algorithms whose outer gradient passes back through the inner steps, so that it has a part for each of them."""

_OF_ONE_ALGORITHM: Mapping[str, tuple[Algorithm, Any]] = {
    "proximal": ("imaml", 1.0),
    "cg_steps": ("imaml", 5),
    "reptile_shots": ("reptile", None),
}
"""Field -> the only algorithm for which it may differ from its default."""


def impossible_methods(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the field and a sentence for each combination of `values` (all fields of a config) without a meaning."""
    for name, (algorithm, default) in _OF_ONE_ALGORITHM.items():
        if values["algorithm"] != algorithm and values[name] != default:
            yield name, f"{values[name]} is only for algorithm {algorithm}"
    yield from _impossible_rates(values)
    yield from _impossible_losses(values)
    own = {"boil": _impossible_boil, "reptile": _impossible_reptile, "imaml": _impossible_imaml}
    if values["algorithm"] in own:
        yield from own[values["algorithm"]](values)
    if values["probe_every"] and is_added(values):
        yield (
            "probe_every",
            f"{values['probe_every']}, but probes know the inner loops of maml, anil and contrastive alone, with "
            "inner_rates fixed and query_losses last_step; leave probe_every out",
        )


def is_added(values: Mapping[str, Any]) -> bool:
    """Return whether the method of `values` is another one than the paper's MAML, ANIL and explicit losses."""
    return (
        values["algorithm"] not in ("maml", "anil", "contrastive")
        or values["inner_rates"] != "fixed"
        or values["query_losses"] != "last_step"
    )


def _impossible_rates(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    rates, algorithm, adapts = values["inner_rates"], values["algorithm"], values["eval_adapts"]
    if rates == "fixed":
        return
    if algorithm not in UNROLLED:
        yield (
            "inner_rates",
            f"{rates}, but the outer gradient of {algorithm} has no part for them; use {_listed(UNROLLED)}",
        )
        return
    if values["inner_steps"] == 0:
        yield "inner_rates", f"{rates}, but inner_steps is 0, so no step would learn them; raise inner_steps"
    if adapts is not None and algorithm != "maml" and (algorithm, adapts) != ("anil", "head"):
        yield (
            "eval_adapts",
            f"{adapts}, but with inner_rates {rates} {algorithm} has rates only for what it adapts in training; leave "
            "eval_adapts out",
        )


def _impossible_losses(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if values["query_losses"] == "last_step":
        if values["annealed_steps"]:
            yield "annealed_steps", f"{values['annealed_steps']} is only for query_losses every_step"
        return
    if values["algorithm"] not in UNROLLED:
        yield (
            "query_losses",
            f"every_step, but the outer gradient of {values['algorithm']} has no part for each inner step; use "
            f"{_listed(UNROLLED)}",
        )
    elif values["inner_steps"] == 0:
        yield "query_losses", "every_step, but inner_steps is 0, so there is no step; raise inner_steps"


def _impossible_boil(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    because = "boil adapts the encoder through the head, and a zero head passes no gradient on"
    if values["zero_head_every"]:
        yield "zero_head_every", f"{values['zero_head_every']}, but {because}; leave zero_head_every out"
    if values["eval_heads"] == "zeroed" and values["eval_adapts"] is None:
        yield "eval_heads", f"zeroed, but {because}; use trained"


def _impossible_reptile(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if values["order"] == "second":
        yield "order", "second, but reptile has no gradient of an inner gradient; use first"
    if values["inner_steps"] == 0:
        yield "inner_steps", "0, but reptile follows where the inner steps lead; use at least 1"
    images = values["shots"] + values["queries"]
    if values["reptile_shots"] is not None and values["reptile_shots"] > images:
        yield (
            "reptile_shots",
            f"{values['reptile_shots']}, but an episode has shots + queries = {images} images of a class",
        )


def _impossible_imaml(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if values["order"] == "first":
        yield "order", "first, but the outer gradient of imaml needs the inner loss's second derivatives; use second"
    if values["inner_steps"] == 0:
        yield "inner_steps", "0, but the outer gradient of imaml holds near the inner minimum; use at least 1"


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
