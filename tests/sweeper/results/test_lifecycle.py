"""The table of states says what the fold of a journal does, and covers every state, event and report."""

import json
from typing import get_args

import pytest

from analysis.contract.lifecycle import ENDS, EVENT_OF, NEXT, STATES, LineKind, Phase, UpdateStatus, after_line
from sweeper.results.fold import fold_lines
from sweeper.results.journal_form import JournalFormError, check
from sweeper.results.journal_lines import read_lines
from tests.sweeper.played import begin

KINDS = get_args(LineKind)


@pytest.fixture
def attempt(results, specs):
    return next(iter(read_lines(begin(results, specs[0]).path)))


def line(kind: str, attempt: dict) -> dict:
    stamp = {"kind": kind, "attempt": 1, "time_ms": 1, "step": 1}
    value = {"query_loss": 1.0, "query_accuracy": 0.5}
    return {
        "attempt": attempt,
        "record": stamp | {"key": "training", "value": value},
    }.get(kind, stamp | {"message": "ValueError: x"})


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_fold_and_the_form_do_what_the_table_says(attempt, state, kind):
    ended = [line(state, attempt)] if state in ENDS else []
    lines = [*([] if state == "new" else [attempt]), *ended, line(kind, attempt)]
    content = "".join(json.dumps(each) + "\n" for each in lines).encode()
    if kind in NEXT[state]:
        assert fold_lines(lines)["status"] == NEXT[state][kind]
        assert check(content, attempt["trial_id"])
    else:
        with pytest.raises(LookupError):
            fold_lines(lines)
        with pytest.raises(JournalFormError, match=r"line \d: "):
            check(content, attempt["trial_id"])


def test_every_state_phase_and_report_is_in_the_table():
    assert set(NEXT) == {*STATES, *get_args(Phase)}
    assert set(EVENT_OF) == set(get_args(UpdateStatus))
    assert set(EVENT_OF.values()) <= set(NEXT["running"])
    assert {after for events in NEXT.values() for after in events.values()} == set(get_args(Phase))


def test_lines_of_a_second_run_after_an_end_leave_a_journal_readable():
    assert after_line("done", "done") == "done"
    assert after_line("done", "record") == "running"
    assert after_line("interrupted", "done") == "done"
