"""The text of a sweep of four tiny trials on synthetic characters."""

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
