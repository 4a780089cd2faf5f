"""Why Ray did not start, from the logs of its processes. Starts nothing, and does not import Ray."""

import os
import re
import tempfile
from pathlib import Path

READ = ("gcs_server", "raylet", "runtime_env_agent", "dashboard_agent")
"""The processes that Ray starts before its workers, in that order. Each has NAME.log, NAME.out and NAME.err."""
LAST_BYTES = 20_000
LONGEST = 300
_TROUBLE = re.compile(r"\b[A-Z]\w*(Error|Exception)\b|^\[\S+ \S+ [CEF] \d|check failed|error while loading", re.I)
_STAMP = re.compile(r"^\[\d{4}-[^\]]*\]\s*")
"""The start of a line of a log: `[2026-11-27 14:46:05,123 E 123 456] (raylet) main.cc:1: `."""


def session_logs(pid: int) -> Path | None:
    """Return the folder of logs of the newest Ray that process `pid` has tried to start; None if there is none."""
    base = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir(), "ray")
    try:
        found = [path for path in base.glob(f"session_*_{pid}") if (path / "logs").is_dir()]
        return max(found, key=lambda path: path.stat().st_mtime) / "logs" if found else None
    except OSError:
        return None


def reason_in(logs: Path) -> str:
    """Return the last line with trouble in the logs of each process of READ, as one phrase; "" if there is none."""
    found = []
    for name in READ:
        lines = [line for end in ("err", "out", "log") for line in _last_lines(logs / f"{name}.{end}")]
        trouble = next((line for line in reversed(lines) if _TROUBLE.search(line)), "")
        if trouble:
            found.append(f"{name}: {_STAMP.sub('', trouble.strip())[:LONGEST]}")
    return "; ".join(found)


def _last_lines(file: Path) -> list[str]:
    try:
        with file.open("rb") as stream:
            stream.seek(max(file.stat().st_size - LAST_BYTES, 0))
            return stream.read().decode(errors="replace").splitlines()
    except OSError:
        return []
