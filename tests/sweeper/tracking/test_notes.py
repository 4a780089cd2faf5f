"""A description that a person wrote or removed stays."""

from sweeper.tracking.notes import NOTE, is_ours, note_tags


def test_our_description_follows_the_results_and_a_persons_stays():
    first = note_tags("one", {})
    assert first[NOTE] == "one" and is_ours(first)
    assert note_tags("one", first) == {}
    assert note_tags("two", first)[NOTE] == "two"
    assert note_tags("two", {**first, NOTE: "mine"}) == {}
    assert note_tags("two", {NOTE: "mine"}) == {}
    removed = {tag: value for tag, value in first.items() if tag != NOTE}
    assert note_tags("two", removed) == {}
    assert note_tags("", {}) == {}
