"""A table whose cells have no twin along the hue axis: an axis that applies to one method alone."""

from analysis.contract.question import FigureSpec, TableSpec
from analysis.report.sweep_report import Asked, find
from analysis.store import Loaded


def test_a_contrast_without_any_pair_is_left_out(make_trial, make_record, endpoint) -> None:
    plan = [make_trial({"method": "one", "rate": "0.1"}), make_trial({"method": "two", "rate": "-"})]
    asked = Asked(
        plan=plan, axes=["method", "rate"], sweep="pairs", question="Which?", paper="", endpoint=endpoint, claims=(),
        tables=(TableSpec(rows=("rate",), columns="method"),),
        figures=(FigureSpec(kind="line", x="rate", hue="method", facets=()),), command="", commit="",
    )  # fmt: skip
    records = {trial.trial_id: make_record(trial, {60: 0.5}) for trial in plan}
    found = find(asked, Loaded(records=records, run_ids={}, unreadable={}), None, "here", figures=False)
    assert found.tables.keys() == {"table_1"} and len(found.cells) == 2
