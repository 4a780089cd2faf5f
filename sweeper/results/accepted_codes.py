"""Which codes of a trainer count as equal in a results folder, because the user said so. Compares no code itself."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sweeper.results.paths import Results, ResultsError
from trainers.sealed_file import write_whole


@dataclass(frozen=True)
class AcceptedCodes:
    """Groups of hashes that count as equal, by the name of the trainer. No hash is in two groups of one trainer."""

    groups: Mapping[str, tuple[frozenset[str], ...]] = field(default_factory=dict)

    def equal(self, trainer: str, one: str, other: str) -> bool:
        """Return whether two hashes of the code of `trainer` count as equal. "" stands for one that is not known."""
        if one == other or not one or not other:
            return True
        return any({one, other} <= group for group in self.groups.get(trainer, ()))

    def joined(self, trainer: str, codes: Iterable[str]) -> "AcceptedCodes":
        """Return these groups after all `codes` of `trainer` have become equal."""
        wanted = frozenset(codes)
        before = self.groups.get(trainer, ())
        touched = [group for group in before if group & wanted]
        left = [group for group in before if not group & wanted]
        return AcceptedCodes({**self.groups, trainer: (*left, wanted.union(*touched))})


def accepted_codes(results: Results) -> AcceptedCodes:
    """Return what was accepted in this folder; nothing before the first time. Raises ResultsError."""
    path = results.accepted_codes
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return AcceptedCodes({name: tuple(map(frozenset, groups)) for name, groups in content.items()})
    except (FileNotFoundError, NotADirectoryError):
        return AcceptedCodes()
    except (ValueError, TypeError, AttributeError):
        raise ResultsError(
            f"{path}: is no list of accepted codes; delete it, then accept them again with --accept-code"
        ) from None


def accept(results: Results, codes: Mapping[str, Iterable[str]]) -> None:
    """Let all `codes`, by the name of their trainer, count as equal from now on. Raises OSError, ResultsError."""
    known = accepted_codes(results)
    for trainer, equal in codes.items():
        known = known.joined(trainer, equal)
    content = {name: sorted(map(sorted, groups)) for name, groups in sorted(known.groups.items())}
    write_whole(results.accepted_codes, json.dumps(content, indent=1).encode())
