"""The engine of a trial that no run has begun yet. Trains nothing."""

from sweeper.errors import SweepError
from sweeper.host.devices import Device
from sweeper.planning.trial_spec import TrialSpec


def engine_for_new(spec: TrialSpec, device: Device, wanted: str | None) -> str:
    """Return the engine of a new trial: `wanted`, or the fastest. Raises SweepError if it can't train the trial."""
    trainer, config = spec.trainer, spec.cell_config
    try:
        engine = wanted or trainer.engine(config, device)
        reason = trainer.cannot_treat(engine, config, device)
    except ValueError as error:
        reason = str(error)
    if reason:
        raise SweepError(f"{spec.trial_id} ({spec.name()}) can't run here: {reason}; --only picks others")
    return engine
