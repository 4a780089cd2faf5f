"""Where the time of one thread goes: each second counts for the innermost part that is under way, and for no other."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any


class Stopwatch:
    """Seconds by part; `rest` is the part outside all others."""

    def __init__(self, rest: str) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._parts = [rest]
        self._since_s = time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time of the block for `name`."""
        self._turn()
        self._parts.append(name)
        try:
            yield
        finally:
            self._turn()
            self._parts.pop()

    def _turn(self) -> None:
        now_s = time.perf_counter()
        self.seconds[self._parts[-1]] += now_s - self._since_s
        self._since_s = now_s

    @contextmanager
    def watching(self, parts: dict[str, list[tuple[Any, str]]]) -> Iterator[None]:
        """Count every call of the named attributes for their part while the block lasts."""
        with ExitStack() as undo:
            for part, places in parts.items():
                for owner, name in places:
                    was = getattr(owner, name)
                    setattr(owner, name, self._watched(part, was))
                    undo.callback(setattr, owner, name, was)
            yield

    def _watched(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            with self.part(part):
                return function(*arguments, **named)

        return call
