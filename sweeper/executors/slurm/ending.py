"""Why a slot ends: signals and the time limit, told apart, and what Slurm is then asked to do. Trains nothing."""

import signal
import time
from collections.abc import Callable
from types import FrameType

from sweeper.dealing.dealer import Dealer
from sweeper.executors.slurm import commands
from sweeper.executors.slurm.commands import RefusedError, SlurmError
from sweeper.executors.slurm.queue import Life
from sweeper.executors.slurm.script import WARNING_S, lead_s
from sweeper.executors.slurm.submission import Submission
from trainers.sealed_file import write_whole

EARLY_S = 60.0
"""Slurm may warn so much earlier than it was asked to."""
ASK_AGAIN_S = 5.0
TRIES = 6
MOST_IDLE = 5
"""So many lives in a row without one new step, and a slot is not queued again."""


class Ending:
    """Stops the dealer at a signal or before the time limit. Later signals change nothing: a save is never cut off."""

    def __init__(
        self, life: Life | None, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`life` is what Slurm says of this slot as it begins, None if it does not answer."""
        self._say = say
        self._clock = clock
        self._dealer: Dealer | None = None
        left_s = life.left_s if life is not None else None
        self._lead_s = lead_s(life.limit_s) if life is not None and life.limit_s is not None else 0.0
        self._over_s = None if left_s is None else clock() + left_s
        self.why = ""
        """Why the slot must end; "" while it need not."""

    def install(self) -> None:
        """Listen to the signals, and to the clock of this machine for the time limit."""
        signal.signal(signal.SIGTERM, self._told_to_end)
        signal.signal(signal.SIGINT, self._told_to_end)
        signal.signal(signal.SIGUSR1, self._warned)
        signal.signal(signal.SIGALRM, self._out_of_time)
        if self._over_s is not None:
            signal.setitimer(signal.ITIMER_REAL, max(self._over_s - self._clock() - self._lead_s, 0.001))

    def watch(self, dealer: Dealer) -> None:
        """Stop `dealer` when this slot must end, or now if it must already."""
        self._dealer = dealer
        if self.why:
            dealer.stop()

    def end(self, why: str) -> None:
        """Stop the dealer; the first reason counts."""
        if not self.why:
            self.why = why
        if self._dealer is not None:
            self._dealer.stop()

    def _told_to_end(self, number: int, frame: FrameType | None) -> None:
        self.end(f"{signal.Signals(number).name} came")

    def _out_of_time(self, number: int, frame: FrameType | None) -> None:
        self.end("the time limit is near")

    def _warned(self, number: int, frame: FrameType | None) -> None:
        """End, unless this is Slurm's warning that comes too early: then the own clock tells when."""
        left_s = None if self._over_s is None else self._over_s - self._clock()
        if left_s is None or not self._lead_s < left_s <= WARNING_S + EARLY_S:
            self.end("SIGUSR1 came")


def queue_again(
    submission: Submission, job: str, part: str, why: str, say: Callable[[str], None], *, progressed: bool
) -> None:
    """Let Slurm queue this slot again, unless its job was cancelled or the submission stopped.

    Where the cluster forbids it, the slot submits itself. Slurm may be restarting, so it is asked several times. A slot
    that has not `progressed` by one step in MOST_IDLE lives in a row is not queued again, and says so.
    """
    index = job.rpartition("_")[2]
    if submission.stop_mark.exists():
        say("the submission was stopped, so the slot is not queued again")
        return
    counted = False
    for number in range(TRIES):
        if number:
            time.sleep(ASK_AGAIN_S)
        try:
            life = commands.life_of(job)
            if life is not None and life.state not in ("RUNNING", "SUSPENDED", "STOPPED"):
                say(f"job {job} is {life.state}: Slurm ends it, and queues it again after a preemption")
                return
            if not counted and _gives_up(submission, f"{part}-{index}", why, say, progressed=progressed):
                return
            counted = True
            refused = commands.requeue(job)
            if not refused:
                say(f"job {job} is queued again: {why}")
                return
            say(f"job {job} can't be queued again ({refused}), so the slot submits itself")
            new = resubmitted(submission, index, part)
            say(f"job {new} goes on for job {job}: {why}")
            return
        except (SlurmError, RefusedError) as error:
            say(str(error))
    say(f"Slurm has not answered, so job {job} ends here; the same `sweeper run` submits what is left")


def _gives_up(submission: Submission, slot: str, why: str, say: Callable[[str], None], *, progressed: bool) -> bool:
    """Count this life if it was idle; return whether it is the last one. Raises OSError."""
    count, marks = submission.idle(slot), submission.given_up(slot)
    before = count.read_bytes() if count.exists() else b""
    if progressed:
        count.unlink(missing_ok=True)
        return False
    if before.count(b"\n") + 1 < MOST_IDLE:
        count.parent.mkdir(exist_ok=True)
        write_whole(count, before + f"{why}\n".encode())
        return False
    count.unlink(missing_ok=True)
    marks.parent.mkdir(exist_ok=True)
    told = (
        f"has had {MOST_IDLE} lives in a row without one new step, and is not queued again (the last one ended because "
        f"{why}); the same `sweeper run` submits what is left"
    )
    write_whole(marks, f"{told}\n".encode())
    say(f"slot {slot} {told}")
    return True


def submit_more(submission: Submission, wanted: int, say: Callable[[str], None]) -> None:
    """Submit up to `wanted` slots of a submission again that had nothing to do and have ended. Raises OSError."""
    if submission.stop_mark.exists():
        return
    try:
        living = [job for job in commands.jobs_named(submission.names) if not job.over]
        for part, size in submission.content["parts"].items():
            taken = {job.id.rpartition("_")[2] for job in living if job.name == part}
            ended = [str(index) for index in range(size) if str(index) not in taken][:wanted]
            if ended:
                job = resubmitted(submission, ",".join(ended), part).partition("_")[0]
                wanted -= len(ended)
                say(f"job {job}: {len(ended)} more slots, since there is work for them again")
    except (SlurmError, RefusedError) as error:
        say(f"no further slots are submitted: {error}")


def resubmitted(submission: Submission, index: str, part: str) -> str:
    """Submit one slot of a submission again, and return its job. Raises SlurmError, RefusedError, OSError."""
    from sweeper.executors.slurm.script import words

    content = submission.content
    job = commands.submit(submission.script, words(content["options"], part, index, submission.folder))
    submission.note(part, job)
    return f"{job}_{index}"
