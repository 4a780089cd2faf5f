"""The text of a tiny sweep that compares MAML, prototypical networks and a function beside its file."""

from pathlib import Path

from tests.sweeper.plugged import TOY

SEVERAL = """\
version: 1
name: methods
question: Which method?
fixed:
  use: strokes
  ways: 3
  queries: 3
  channels: 4
  meta_batch_size: 2
  outer_steps: 4
  steps: 4
  eval_every: 2
  eval_episodes: 3
matrix:
  method:
    MAML: {inner_steps: 1}
    ProtoNet: {trainer: protonet, lr: 0.01}
    mine: {trainer: toy.py:TOY, rate: 0.25}
seeds: 2
endpoint:
  metric: test_accuracy
  head: zeroed
  steps: inner_steps
  at: last
  window: 1
  trainers:
    protonet: {metric: accuracy, split: test}
    toy: {metric: error}
claims:
  - {says: MAML is ahead., source: nobody's, kind: effect, of: {method: MAML}, minus: {method: ProtoNet},
     expected: positive}
report:
  tables: [{rows: [], columns: method}]
  figures: [{kind: line, x: method}, {kind: curves, hue: method}]
"""


def write_several(folder: Path, **changes: str) -> Path:
    """Write the sweep and the function into `folder`; `changes` are keys at the top with the text of their values."""
    (folder / "toy.py").write_text(TOY)
    text = SEVERAL
    for key, value in changes.items():
        lines = text.splitlines(keepends=True)
        begin = next((n for n, line in enumerate(lines) if line.startswith(f"{key}:")), len(lines))
        end = next((n for n in range(begin + 1, len(lines)) if not lines[n].startswith(" ")), len(lines))
        text = "".join([*lines[:begin], f"{key}: {value}\n", *lines[end:]])
    path = folder / "methods.yaml"
    path.write_text(text)
    return path
