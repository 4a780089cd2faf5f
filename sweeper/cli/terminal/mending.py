"""The command that mends the damaged journals of a sweep, as plan, status, run and report print it."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from sweeper.results.trial_summary import TrialSummary


def command_to_mend(
    summaries: Iterable[TrialSummary | None],
    files: Iterable[Path],
    results: Path,
    profile: str | None,
    more: Sequence[str] = (),
) -> str:
    """Return a sentence with the one command that mends every damaged journal, or "" if there is none.

    `more` are further options that a run of the sweep needs.
    """
    damaged = dict.fromkeys(found.trial_id for found in summaries if found is not None and found.damaged)
    if not damaged:
        return ""
    words = ["sweeper", "run", *map(str, files), *(["--profile", profile] if profile else [])]
    words += ["--results", str(results), *more, *(word for trial_id in damaged for word in ("--mend", trial_id))]
    count = "1 journal is" if len(damaged) == 1 else f"{len(damaged)} journals are"
    return f"{count} damaged; this goes on from the last sound line: {shlex.join(words)}"
