"""Codes of a trainer that count as equal, because the user said so."""

import pytest

from sweeper.results.accepted_codes import AcceptedCodes, accept, accepted_codes
from sweeper.results.paths import ResultsError


def test_codes_are_equal_only_where_that_was_accepted_for_their_trainer(results):
    results.root.mkdir()
    assert not accepted_codes(results).equal("toy", "a", "b")
    accept(results, {"toy": ["a", "b"]})
    known = accepted_codes(results)
    assert known.equal("toy", "a", "b") and known.equal("toy", "b", "a") and known.equal("toy", "a", "a")
    assert not known.equal("toy", "a", "c") and not known.equal("other", "a", "b")


def test_a_code_that_is_not_known_differs_from_none():
    assert AcceptedCodes().equal("toy", "", "a") and AcceptedCodes().equal("toy", "a", "")


def test_what_is_accepted_joins_what_was(results):
    results.root.mkdir()
    accept(results, {"toy": ["a", "b"], "other": ["a", "c"]})
    accept(results, {"toy": ["c", "d"]})
    assert not accepted_codes(results).equal("toy", "a", "d")
    accept(results, {"toy": ["b", "c"]})
    assert accepted_codes(results).equal("toy", "a", "d")
    assert accepted_codes(results).equal("other", "a", "c")


@pytest.mark.parametrize("content", ["{", "[]", '{"toy": 1}', '{"toy": [1]}'])
def test_a_damaged_file_is_told_with_what_to_do(results, content):
    results.root.mkdir()
    results.accepted_codes.write_text(content)
    with pytest.raises(ResultsError, match=r"accepted_codes.json: .*delete it"):
        accepted_codes(results)
