"""A worker that gives no word is given up, by its own timer or by the driver."""

import subprocess
import sys

import pytest

from sweeper.dealing.silence import ATTENTIVE_S, GRACE_S, Silence
from sweeper.worker.log import TrialLog
from tests.sweeper.command import environment
from tests.sweeper.dealing.test_dealer import journal_of, make_dealer, noted, update  # noqa: F401, the fixtures among them
from tests.waiting import HANG_S


class Clock:
    """What a driver's clock says, until it is told otherwise."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def listen(silence, clock, seconds):
    """Let `seconds` pass as a driver spends them, asking all the time, and return the last answer."""
    for _ in range(round(seconds)):
        clock.now_s += 1.0
        found = silence.overdue()
    return found


def test_a_pack_is_overdue_after_the_timeout_and_the_grace_since_its_last_word(clock):
    silence = Silence(timeout_s=20.0, clock=clock)
    silence.heard(1)
    silence.heard(2)
    assert listen(silence, clock, 20 + GRACE_S - 10) == []
    silence.heard(2)
    assert listen(silence, clock, 11) == [1]
    assert silence.forget(1) == 20 + GRACE_S + 1
    assert silence.overdue() == []


def test_a_driver_that_was_suspended_itself_blames_nobody(clock):
    silence = Silence(timeout_s=20.0, clock=clock)
    silence.heard(1)
    clock.now_s += 10_000.0
    assert silence.overdue() == []
    assert listen(silence, clock, 20 + GRACE_S) == []
    assert listen(silence, clock, 1) == [1]
    assert ATTENTIVE_S < GRACE_S


def test_the_journal_says_for_how_long_there_was_no_word(make_dealer, specs, results):  # noqa: F811
    now = [1000.0]
    dealer = make_dealer(specs[:1], clock=lambda: now[0])
    stale = dealer.next_assignment()
    now[0] += 50.0
    dealer.receive(update(stale))
    now[0] += 60.0
    dealer.ended(stale["pack"])
    record = journal_of(results, specs[0])
    assert (record["status"], record["message"]) == ("interrupted", "no word for 60 s")
    now[0] += 10.0
    again = dealer.next_assignment()
    assert again["members"][0]["attempt"] == 2
    dealer.receive(update(stale, "done", step=4))
    dealer.ended(stale["pack"])
    assert journal_of(results, specs[0])["status"] == "running"
    now[0] += 1.0
    dealer.ended(again["pack"])
    assert journal_of(results, specs[0])["message"] == "its worker was lost"


def test_silent_four_times_is_failed(make_dealer, specs, results):  # noqa: F811
    now = [1000.0]
    dealer = make_dealer(specs[:1], clock=lambda: now[0])
    for _ in range(4):
        now[0] += 100.0
        assignment = dealer.next_assignment()
        now[0] += 60.0
        dealer.ended(assignment["pack"])
    record = journal_of(results, specs[0])
    assert (record["status"], record["message"]) == ("failed", "no word for 60 s; its worker was lost 4 times")


HANGING = """
import sys
from pathlib import Path
from sweeper.worker.log import TrialLog

def a_step_that_hangs():
    import ctypes
    ctypes.PyDLL(None).sleep(600)  # holds the interpreter, as a hung call into a driver may

log = TrialLog(Path(sys.argv[1]))
log.say("begun")
with log.watched(3600.0):
    pass
with log.watched(0.5):
    a_step_that_hangs()
"""


def test_a_step_over_its_time_ends_the_process_and_the_log_says_where_it_hung(tmp_path):
    path = tmp_path / "trial.log"
    ended = subprocess.run([sys.executable, "-c", HANGING, str(path)], timeout=HANG_S, env=environment(), check=False)
    assert ended.returncode == 1
    begun, timeout, *stacks = path.read_text().splitlines()
    assert begun.endswith("Z begun")
    assert timeout == "Timeout (0:00:00.500000)!"
    assert any("in a_step_that_hangs" in line for line in stacks)


def test_a_log_that_cannot_be_written_passes_unless_the_storage_is_to_blame(tmp_path):
    (tmp_path / "trial.log").mkdir()
    log = TrialLog(tmp_path / "trial.log")  # a folder: EISDIR
    log.say("lost")
    log.close()
    (tmp_path / "full.log").symlink_to("/dev/full")
    full = TrialLog(tmp_path / "full.log")
    with pytest.raises(OSError, match="No space left"):
        full.say("lost")
    full.close()
