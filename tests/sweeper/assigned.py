"""Assignments as a dealer hands them to a worker, on synthetic characters and the CPU."""

from typing import Any

from sweeper.dealing.assignment import Assignment, Member


def assigned(members: list[Member], path: str, digest: str = "0", **changes: Any) -> Assignment:
    """Return `members` as one assignment, with the array of strokes at `path`."""
    usual = Assignment(
        pack=1,
        members=members,
        data={"name": "strokes", "path": path, "digest": digest},
        device="cpu",
        engine="loop",
        threads=1,
        chunk_s=1.0,
        timeout_s=60.0,
        share=1.0,
    )
    return usual | changes
