"""The code that trains each cell of a run, as it was when the cell was first dealt. Compares nothing."""

from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.known_trainers import keep
from sweeper.results.paths import Results
from trainers.named_code import code_of
from trainers.trainer import Trainer


class Codes:
    """The hashes of a run's code. A trainer's description is kept in the results when it is first dealt."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._trainers: dict[int, Trainer] = {}
        """The trainers that were dealt, by their ids in this process; keeping them keeps these ids theirs."""
        self._hashes: dict[tuple[int, str], str] = {}

    def of(self, spec: TrialSpec) -> str:
        """Return the hash of the code that trains `spec`. Raises OSError."""
        trainer = spec.trainer
        if id(trainer) not in self._trainers:
            keep(self._results, trainer, spec.reference)
            self._trainers[id(trainer)] = trainer
        key = id(trainer), spec.cell
        if key not in self._hashes:
            self._hashes[key] = code_of(trainer, spec.cell_config).hash
        return self._hashes[key]
