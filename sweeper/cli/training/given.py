"""What was given to `sweeper run`, as the words of the commands that it names. Runs none of them."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.cli.terminal.mending import command_to_mend
from sweeper.results.trial_summary import TrialSummary
from sweeper.sweepfile.tries import words as set_words
from sweeper.tracking.address import masked


@dataclass(frozen=True, kw_only=True)
class Given:
    """The arguments that another command needs to mean the same trials."""

    files: Sequence[Path]
    results: Path
    profile: str | None
    settings: Sequence[str]
    only: Sequence[str]
    data_root: Path | None
    executor: str
    slurm: Sequence[str]
    tracking_uri: str | None

    @property
    def variant(self) -> list[str]:
        """The words that choose a profile and other values."""
        return [*(["--profile", self.profile] if self.profile else []), *set_words(self.settings)]

    @property
    def to_sync(self) -> list[str]:
        """The words with which `sweeper sync` brings the store up to date."""
        return [*map(str, self.files), "--results", str(self.results), *self.variant]

    def to_mend(self, summaries: Iterable[TrialSummary | None]) -> str:
        """Return a sentence with the command that mends damaged journals and goes on, or "" if there is none."""
        more = [*set_words(self.settings), *(["--data-root", str(self.data_root)] if self.data_root else [])]
        more += self._chosen
        more += ["--executor", self.executor] if self.executor != "ray" else []
        more += [word for each in self.slurm for word in ("--slurm", each)]
        if self.tracking_uri and masked(self.tracking_uri) == self.tracking_uri:
            more += ["--tracking-uri", self.tracking_uri]
        return command_to_mend(summaries, self.files, self.results, self.profile, more)

    def to_report(self) -> str:
        """Return the command that reports what the run has trained."""
        words = ["sweeper", "report", *map(str, self.files), *(["--all"] if len(self.files) > 1 else [])]
        words += ["--results", str(self.results)] if self.results != Path("results") else []
        words += [*self.variant, *self._chosen]
        words += ["--tracking-uri", masked(self.tracking_uri)] if self.tracking_uri else []
        return shlex.join(words)

    @property
    def _chosen(self) -> list[str]:
        return [word for each in self.only for word in ("--only", each)]
