"""What a run requires of every other machine that trains for it: code, versions, data. Asks no machine."""

from pathlib import Path

from sweeper.dealing.assignment import TrainerFound
from sweeper.executors.node_check import Asked, asked
from sweeper.results.paths import Results
from sweeper.results.survey import Batch
from trainers.named_code import code_of
from trainers.trainer import DEFAULT


def required(batch: Batch, data_root: Path, results: Results, token: str) -> Asked:
    """Return what a machine must have to train for `batch`: data, and the code of other trainers than MAML.

    It must have the code that a config names, too, such as a network's.
    """
    every = [spec for part in batch.parts for spec in part.specs]
    every += [spec for part in batch.parts for search in part.searches for spec in search.examples]
    plugs = {spec.trainer.name: spec for spec in every if spec.trainer.name != DEFAULT}
    trainers = {
        name: TrainerFound(says=spec.reference.says, folder=spec.reference.folder, code=spec.trainer.code())
        for name, spec in plugs.items()
    }
    for spec in {spec.cell: spec for spec in every}.values():
        code = code_of(spec.trainer, spec.cell_config)
        if code.hash != spec.trainer.code():
            found = TrainerFound(says=spec.reference.says, folder=spec.reference.folder, code=code.hash)
            trainers[code.of] = found | {"config": spec.cell_config.model_dump()}
    owners = {
        spec.trainer.dataset(spec.cell_config): spec.trainer.name for spec in every if spec.trainer.name != DEFAULT
    }
    return asked(batch.data, data_root, results, token, trainers, owners)
