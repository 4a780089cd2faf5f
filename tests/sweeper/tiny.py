"""The text of a sweep of four tiny trials on synthetic characters, and a folder in which two of them are trained."""

from pathlib import Path

from tests.sweeper.command import STEADY, sweeper

TINY = """\
version: 1
name: tiny
question: Does the machinery work?
fixed:
  use: strokes
  order: first
  ways: 3
  queries: 3
  channels: 4
  meta_batch_size: 2
  outer_steps: 4
  eval_every: 2
  eval_episodes: 3
matrix:
  inner_steps: [1, 2]
seeds: 2
endpoint: {metric: test_accuracy, head: zeroed, steps: inner_steps, at: last, window: 1}
report:
  tables: [{rows: [], columns: inner_steps}]
  figures: [{kind: inner_steps, x: inner_steps}]
"""


CLAIMS = """\
claims:
  - says: Two inner steps do better than one.
    source: nobody's
    kind: effect
    of: {inner_steps: 2}
    minus: {inner_steps: 1}
    expected: positive
"""
"""A claim about the tiny sweep, for its file."""


def write_tiny(folder: Path, *lines: str) -> Path:
    """Write the tiny sweep into `folder`, with the line of the same key replaced by each given."""
    text = TINY
    for line in lines:
        key = line.strip().partition(":")[0]
        old = next(found for found in TINY.splitlines() if found.strip().startswith(f"{key}:"))
        text = text.replace(old, line)
    path = folder / "tiny.yaml"
    path.write_text(text)
    return path


def trained_in(folder: Path) -> Path:
    """Train tiny.yaml with one seed in `folder`, showing no store, and return the folder."""
    (folder / "tiny.yaml").write_text(TINY.replace("seeds: 2", "seeds: 1"))
    here = ("--executor", "inline", "--device", "cpu", "--tracking-uri", "none")
    assert sweeper("run", "tiny.yaml", *here, cwd=folder, program=STEADY).code == 0
    return folder
