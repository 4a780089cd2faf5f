"""The executor of this process: news gathered over some seconds is the same news in fewer pieces."""

from sweeper.dealing.assignment import MemberUpdate, Update
from sweeper.executors.inline import News


def news(step, *members, over=False):
    return Update(
        pack=1,
        members=[
            MemberUpdate(trial_id=name, attempt=1, step=step, records=[(step, "k", {})], status=status, message=says)
            for name, status, says in members
        ],
        over=over,
    )


def test_records_are_kept_in_order_and_the_last_state_counts():
    found = News()
    assert not found.waiting
    assert found.add(news(1, ("a", "running", ""), ("b", "running", ""))) is False
    assert not found.urgent
    assert found.add(news(2, ("a", "running", ""), ("b", "diverged", "nan"))) is False
    assert found.urgent
    told = found.taken()
    assert not found.waiting
    assert {one["trial_id"]: (one["step"], one["status"], one["message"]) for one in told["members"]} == {
        "a": (2, "running", ""),
        "b": (2, "diverged", "nan"),
    }
    assert [step for step, _, _ in told["members"][0]["records"]] == [1, 2]


def test_a_member_that_leaves_its_pack_is_told_once():
    found = News()
    found.add(news(0, ("a", "alone", "elsewhere"), ("b", "running", "")))
    found.add(news(1, ("b", "running", "")))
    told = {one["trial_id"]: one["status"] for one in found.taken()["members"]}
    assert told == {"a": "alone", "b": "running"}
    found.add(news(2, ("b", "done", ""), over=True))
    assert [one["trial_id"] for one in found.taken()["members"]] == ["b"]
