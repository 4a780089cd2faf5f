"""A cache of its own for each test, and nothing known of sets elsewhere."""

from pathlib import Path

import pytest

from trainers.data.added import shelf


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shelf, "_elsewhere", {})
    return tmp_path / "cache"
