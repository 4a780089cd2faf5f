"""The numbers that a trial of this trainer measures: all metrics, and why one config does not measure a reading."""

from collections.abc import Iterator, Mapping

from trainers.maml.config import HEADS, TrialConfig
from trainers.trainer import WHOLE, Metric, Wanted

_SCORED = {"head": HEADS, "steps": ("inner_steps", WHOLE)}


def _accuracy(split: str, measured: str = "evaluations") -> Metric:
    return Metric(
        words=f"{split.capitalize()} accuracy",
        axis=f"{split} accuracy (%)",
        unit="%",
        better="higher",
        coordinates=_SCORED,
        least=0.0,
        most=1.0,
        measured=measured,
    )


def _gap(words: str, axis: str) -> Metric:
    return Metric(words=words, axis=axis, least=-2.0, most=2.0, measured="probes")


def _displacement(moved: str, along: str) -> Metric:
    words = (
        f"Displacement of {moved} features along {along} features by one outer step, same class minus other classes, "
        "relative: (change / norm of the feature) per (step / norm of the encoder)"
    )
    return Metric(words=words, axis=f"{moved} displacement (relative)", measured="probes")


METRICS: Mapping[str, Metric] = {
    "test_accuracy": _accuracy("test"),
    "val_accuracy": _accuracy("val"),
    "final_accuracy": _accuracy("final", "finals"),
    "support_query_gap": _gap(
        "Mean cosine similarity of query and support features, same class minus other classes",
        "cosine gap, query to support",
    ),
    "query_query_gap": _gap(
        "Mean cosine similarity of query features, same class (self-pairs included) minus other classes",
        "cosine gap, query to query",
    ),
    "positive_share": Metric(
        words="Share of (support, query) pairs with a positive contrastive coefficient",
        axis="positive coefficients (% of pairs)",
        unit="%",
        least=0.0,
        most=1.0,
        measured="probes",
    ),
    "support_moved": _displacement("support", "query"),
    "query_moved": _displacement("query", "support"),
}


def unmeasured(config: TrialConfig, wanted: Wanted) -> Iterator[tuple[str, str]]:
    """Yield each key of a reading that a trial of `config` never measures, with the reason."""
    if METRICS[wanted.metric].measured == "probes":
        yield from _unprobed(config, wanted)
        return
    given = wanted.coordinates["steps"]
    steps: int = config.inner_steps if given == "inner_steps" else given
    if wanted.metric == "final_accuracy":
        yield from _unanswered_at_last(config, wanted, steps)
        return
    head = wanted.coordinates["head"]
    if config.eval_heads not in ("both", head):
        yield "head", f"{head} is never measured, because eval_heads is {config.eval_heads}"
    if not config.eval_each_step and steps != config.scored_steps:
        yield (
            "steps",
            f"asks for inner step {steps}, but eval_each_step is false and only {config.scored_steps} is scored",
        )
    elif steps > config.scored_steps:
        said = f"eval_steps is {config.eval_steps}" if config.eval_steps is not None else "eval_steps is inner_steps"
        yield "steps", f"asks for {steps} inner steps, but {said} and 0 to {config.scored_steps} are scored"
    if wanted.metric not in [f"{split}_accuracy" for split in config.eval_splits]:
        yield "metric", f"{wanted.metric} is never measured, because eval_split is {config.eval_split}"


def _unprobed(config: TrialConfig, wanted: Wanted) -> Iterator[tuple[str, str]]:
    if config.probe_every == 0:
        yield "metric", f"{wanted.metric} is never measured, because probe_every is 0"
        return
    steps = (config.outer_steps,) if wanted.at == "last" else wanted.at
    first, every = config.probe_first, config.probe_every
    off = [step for step in steps if step < first or (step - first) % every]
    if off:
        yield "at", f"no probe is taken at step {off[0]}, but at {first}, {first + every}, {first + 2 * every}, ..."


def _unanswered_at_last(config: TrialConfig, wanted: Wanted, steps: int) -> Iterator[tuple[str, str]]:
    if not config.final_episodes:
        yield "metric", "final_accuracy is never measured, because final_episodes is 0"
        return
    if steps > config.final_scored_steps:
        yield "steps", f"asks for {steps} inner steps, but the last pass scores 0 to {config.final_scored_steps}"
    if wanted.at != "last":
        yield "at", "final_accuracy is measured once, when a trial ends; say at: last"
    if wanted.window != 1:
        yield "window", f"{wanted.window}, but final_accuracy is measured once; say window: 1"
