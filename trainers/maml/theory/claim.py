"""One checked claim, and the setting in which claims are checked. Checks nothing itself."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from torch import Tensor

from trainers.maml.config import TrialConfig, resolve
from trainers.maml.episodes import Episode, gather, training_draw
from trainers.maml.networks import Params, initial_params

Expected = Literal["hold", "fail", "inform"]
Verdict = Literal["holds", "does not hold", "information"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What claims are checked on: `config` (float64) gives network, episodes and rates; variants change its fields.

    `pixels` is the data set's uint8 array [classes, images, C, H, W].
    """

    name: str
    config: TrialConfig
    pixels: Tensor

    def variant(self, **changes: Any) -> TrialConfig:
        """Return the setting's config with `changes`; raises ConfigError if that is invalid."""
        return resolve(self.config.model_dump() | changes)

    def params(self, config: TrialConfig) -> Params:
        """Return the initial parameters of `config` that need gradients."""
        return {name: value.requires_grad_() for name, value in initial_params(config).items()}

    def episodes(self, config: TrialConfig) -> list[Episode]:
        """Return the episodes of the first outer step of `config`."""
        stack = gather(training_draw(config, 0), self.pixels, config)
        return [stack.at(e) for e in range(config.meta_batch_size)]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement with all its conditions, its source, what was computed, and the error of the result.

    `error` is relative unless `computed` says otherwise. `should` is what is expected of the error: to stay within
    `bound` ("hold"), or to exceed it ("fail": a control, or a formula known to be wrong). Information ("inform") has
    no bound and no expectation: its `error` is the value that `computed` names.
    """

    statement: str
    source: str
    computed: str
    error: float
    bound: float | None
    should: Expected = "hold"

    def __post_init__(self) -> None:
        """Raise ValueError for information with a bound, and for a row that judges without one."""
        if (self.should == "inform") != (self.bound is None):
            raise ValueError(f"a row that should {self.should} has bound {self.bound}: {self.statement}")

    @property
    def verdict(self) -> Verdict:
        """Return what the error says about the statement; with NaN it never holds."""
        if self.bound is None:
            return "information"
        return "holds" if self.error <= self.bound else "does not hold"

    @property
    def as_expected(self) -> bool:
        """Return whether the verdict is the expected one; with NaN it never is."""
        if self.error != self.error:
            return False
        return self.verdict == {"hold": "holds", "fail": "does not hold", "inform": "information"}[self.should]

    def row(self) -> dict[str, Any]:
        """Return the claim as JSON-able fields, named as `sweeper theory --json` prints them; a NaN or inf is None."""
        fields = asdict(self)
        claim = fields.pop("statement")
        fields["error"] = self.error if math.isfinite(self.error) else None
        return {"claim": claim, **fields, "verdict": self.verdict, "as_expected": self.as_expected}
