"""Compiles the kernels of a run in a process of its own while the workers start, which takes them as long as that.

Nothing depends on it: a worker that needs a kernel first, or finds none, compiles it itself.
"""

import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress

from sweeper.planning.trial_spec import TrialSpec
from trainers.tuned import Command, Tuned


def needed(todo: Iterable[TrialSpec], engines: Mapping[str, str]) -> list[Command]:
    """Return what compiles the kernels that the trials of `todo` need and nobody has compiled, one for each trainer."""
    trials: dict[int, list[TrialSpec]] = {}
    for spec in todo:
        trials.setdefault(id(spec.trainer), []).append(spec)
    commands = []
    for specs in trials.values():
        trainer = specs[0].trainer
        if isinstance(trainer, Tuned):
            command = trainer.compiling((engines[spec.trial_id], spec.config) for spec in specs)
            commands += [command] if command is not None else []
    return commands


@contextmanager
def compiling(commands: Sequence[Command]) -> Iterator[None]:
    """Compile in other processes while the block lasts. They end with the block, finished or not."""
    with ExitStack() as ending:
        for command in commands:
            with suppress(OSError):  # no room for a process: the workers compile
                process = subprocess.Popen(command.words, stdin=subprocess.PIPE, text=True, start_new_session=True)
                ending.callback(process.wait)
                ending.callback(process.kill)
                assert process.stdin is not None
                process.stdin.write(command.given)
                process.stdin.close()
        yield
