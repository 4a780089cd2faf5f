"""Which engines trained a cell: two are refused, and a comparison across engines says so."""

import pytest

from analysis.errors import AnalysisError
from analysis.numbers.engines import engine_remarks, engines_of_cells, refuse_mixed


@pytest.fixture
def trained(make_trial, make_record):
    """Return a maker of cells from the engine of each seed; None did not run."""

    def make(**engines):
        plan, records = [], {}
        for zeroing, own in engines.items():
            for seed, engine in enumerate(own):
                trial = make_trial({"zeroing": zeroing}, seed)
                plan.append(trial)
                if engine is not None:
                    record = make_record(trial, {60: 0.5})
                    records[trial.trial_id] = record | {"attempts": [{"engine": engine}, {"engine": engine}]}
        return engines_of_cells(plan, records)

    return make


def test_two_engines_in_one_cell_are_refused_with_the_seeds_of_each(trained):
    with pytest.raises(
        AnalysisError, match=r"cell none .* 2 engines \(fused: seed 0, 2; compiled: seed 1\).*--mix-engines"
    ):
        refuse_mixed(trained(none=["fused", "compiled", "fused"]))


def test_a_cell_of_one_engine_or_without_runs_is_fine(trained):
    cells = trained(none=["fused", None], always=[None, None])
    refuse_mixed(cells)
    assert engine_remarks(cells) == ()


def test_a_comparison_of_cells_of_two_engines_names_them(trained):
    cells = trained(none=["fused", "fused"], always=["compiled"])
    refuse_mixed(cells)
    assert engine_remarks(cells) == (
        "Engines differ among the cells that this report compares. compiled: always; fused: none.",
    )
