"""What a trainer may offer besides the protocol, to be looked at: one of its episodes, as it draws it.

Owns the protocol and the plain data of an episode. Draws no picture.
"""

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel

from trainers.trainer import Data

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class EpisodeShown(NamedTuple):
    """One episode: pixels uint8 `support` [N, K, C, H, W] and `query` [N, Q, C, H, W], in the order of the labels.

    `classes` are the rows of the N classes in the data set, `turns` their quarter turns.
    """

    support: "NDArray[np.uint8]"
    query: "NDArray[np.uint8]"
    classes: tuple[int, ...]
    turns: tuple[int, ...]


@runtime_checkable
class Showing(Protocol):
    """What sweeper asks of a trainer that trains on episodes."""

    def episode(self, config: BaseModel, data: Data, split: str, number: int) -> EpisodeShown:
        """Return episode `number` (from 0) that a trial of `config` draws from `split`: train, val or test.

        Training episodes are numbered in the order in which they are drawn, evaluation episodes in that of their list.
        Raises ValueError if the trial draws no such episode.
        """


SHOWING: tuple[str, ...] = ("episode",)
"""The names of the members of Showing."""
