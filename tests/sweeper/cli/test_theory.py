"""`sweeper theory`: a row for each claim, and an exit code that tells of a surprise."""

import json

import pytest
from click.testing import CliRunner

from sweeper.cli.theory import theory
from trainers.maml.theory import examine, label_order, motivating_example
from trainers.maml.theory.claim import Claim


def claim(error: float, should: str) -> Claim:
    bound = None if should == "inform" else 1e-12
    return Claim(statement="One is one.", source="ours", computed="1 - 1", error=error, bound=bound, should=should)


@pytest.fixture
def run(monkeypatch):
    def invoke(*checks, arguments=()):
        monkeypatch.setattr(examine, "CHECKS", checks)
        monkeypatch.setattr(examine, "CHECKS_ONCE", ())
        return CliRunner().invoke(theory, arguments)

    return invoke


@pytest.mark.parametrize(
    ("error", "should", "code", "told"),
    [
        (0.0, "hold", 0, "1 claims: 1 hold, 0 do not and should not; 0 rows of information"),
        (0.1, "fail", 0, "1 claims: 0 hold, 1 do not and should not; 0 rows of information"),
        (0.1, "inform", 0, "0 claims: 0 hold, 0 do not and should not; 1 rows of information"),
        (0.1, "hold", 1, "not as expected: One is one. (1 - 1: 1.0e-01)"),
        (0.0, "fail", 1, "not as expected: One is one. (1 - 1: 0.0e+00)"),
        (float("nan"), "inform", 1, "not as expected: One is one. (1 - 1: nan)"),
    ],
)
def test_the_exit_code_is_1_when_a_claim_is_not_as_it_should_be(run, error, should, code, told):
    result = run(lambda setting: [claim(error, should)], arguments=["--markdown"])
    assert result.exit_code == code, result.stderr
    assert told in result.stdout


def test_json_has_a_row_for_each_claim_with_its_statement_source_computation_error_and_verdict(run):
    result = run(*motivating_example.CLAIMS, *label_order.CLAIMS, arguments=["--json"])
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)
    assert {"claim", "source", "computed", "error", "verdict", "setting"} <= set(rows[0])
    assert {row["verdict"] for row in rows} == {"holds", "does not hold", "information"}


@pytest.mark.parametrize("arguments", [[], ["--markdown"], ["--json"]])
def test_a_row_of_information_is_marked_by_its_verdict_wherever_it_is_shown(run, arguments):
    result = run(lambda setting: [claim(0.5, "inform")], arguments=arguments)
    assert result.exit_code == 0, result.stderr
    (row,) = [line for line in result.stdout.splitlines() if "5.0e-01" in line or '"verdict"' in line]
    assert "information" in row


@pytest.mark.parametrize(("should", "bound"), [("inform", 1e-12), ("hold", None), ("fail", None)])
def test_a_row_judges_by_a_bound_or_is_information(should, bound):
    with pytest.raises(ValueError, match="One is one"):
        Claim(statement="One is one.", source="ours", computed="1 - 1", error=0.0, bound=bound, should=should)


def test_data_that_is_not_there_is_said_before_anything_is_computed(run, tmp_path):
    result = run(lambda setting: pytest.fail("computed"), arguments=["--data", str(tmp_path)])
    assert result.exit_code == 2
    assert str(tmp_path) in result.stderr
