"""A run without an executor: the test says how long each worker lives. Dealer, journals and training are real."""

from sweeper.dealing.dealer import Dealer, Worker
from sweeper.worker.work import Work


class DrivenRun:
    """One run on `results`: a dealer, and a worker that can be killed after any number of chunks."""

    def __init__(self, specs, results, strokes, *, pack=4, engine="compiled", device="cpu") -> None:
        data = {"strokes": {"name": "strokes", "path": str(strokes.path), "digest": strokes.digest}}
        worker = Worker(device=device, threads=1, pack=pack, data=data, timeout_s=600.0, chunk_s=0.0)
        self.now_s, ids = 0.0, [spec.trial_id for spec in specs]
        self.dealer = Dealer(
            specs, sweeps=dict.fromkeys(ids, "tiny"), engines=dict.fromkeys(ids, engine), results=results,
            worker=worker, note=lambda _: None, clock=lambda: self.now_s,
        )  # fmt: skip
        self.sizes: list[int] = []

    def train(self, chunks: int | None = None) -> None:
        """Train what is dealt next: to its end, or for `chunks` chunks, after which the worker is killed."""
        while (assignment := self.dealer.next_assignment()) is None:
            assert not self.dealer.over, self.dealer.fatal
            self.now_s += 0.5
        self.sizes.append(len(assignment["members"]))
        work, update = Work(assignment), None
        while (chunks is None or chunks > 0) and not (update and update["over"]):
            update = work.step()
            self.dealer.receive(update)
            chunks = None if chunks is None else chunks - 1
        self.dealer.ended(assignment["pack"])

    def finish(self) -> None:
        while not self.dealer.over:
            self.train()

    def stop(self) -> None:
        self.dealer.stop()
        self.dealer.end_all()
