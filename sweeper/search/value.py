"""The value of a searched trial at a rung, read from its record as a report reads an endpoint. Computes no means."""

from analysis.contract.question import Endpoint
from analysis.contract.record import TrialRecord


def value_at(record: TrialRecord, endpoint: Endpoint, step: int) -> float | None:
    """Return the number of `endpoint` when the trial had taken `step` steps (0: at its end), None if it has none.

    An evaluation of MAML must be at that step. A reading counts from the last step up to it that has the number.
    """
    if endpoint.declared.measured == "readings":
        found = [
            reading["values"][endpoint.name]
            for reading in record.get("readings", ())
            if endpoint.name in reading["values"] and (not step or reading["step"] <= step)
        ]
        return found[-1] if found else None
    head, given = endpoint.scoring
    inner_step = record["config"]["inner_steps"] if given == "inner_steps" else given
    split = endpoint.metric.removesuffix("_accuracy")
    for evaluation in record["evaluations"]:
        if evaluation["step"] == step and evaluation["split"] == split:
            scores = evaluation["accuracy"].get(head)
            return scores[inner_step] if scores is not None and inner_step < len(scores) else None
    return None
