"""Mistakes in a sweep file and what each is answered with, read from bad_sweeps.yaml; and the page that shows them.

The page is made from the repository's root by: python -m tests.sweeper.sweepfile.bad_sweeps > sweeps/MISTAKES.md
"""

import difflib
import sys
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML

TABLE = Path(__file__).with_suffix(".yaml")
_TABLE = YAML(typ="safe", pure=True).load(TABLE.read_text(encoding="utf-8"))
GOOD: str = _TABLE["good"]
SEARCHED: str = _TABLE["searched"]

_INTRODUCTION = """\
# Mistakes in a sweep file, and the answers to them

Made from `tests/sweeper/sweepfile/bad_sweeps.yaml` by `python -m tests.sweeper.sweepfile.bad_sweeps >
sweeps/MISTAKES.md`; a test compares every message word for word.
All mistakes of a file are reported at once, the exit code is 2, and nothing runs or is written.

Each entry shows a change to this good file, `bad.yaml`, and then the answer of `sweeper plan bad.yaml`:

```yaml
"""


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One bad sweep file: `change` maps text of the good one to what stands there instead; `says` is the whole answer.

    `of` names the good file that is changed. `whole` is the whole text where there is little to compare with, `place`
    something else that is found at the path.
    """

    about: str
    title: str
    says: list[str]
    change: dict[str, str] = field(default_factory=dict)
    whole: str | None = None
    place: str | None = None
    encoding: str = "utf-8"
    profile: str | None = None
    of: str = "good"

    @property
    def _good(self) -> str:
        return _TABLE[self.of]

    @property
    def text(self) -> str:
        text = self._good if self.whole is None else self.whole
        for old, new in self.change.items():
            if old not in text:
                raise ValueError(f"{self.title}: {old!r} is not in the good file")
            text = text.replace(old, new, 1)
        return text

    def lay(self, path: Path) -> None:
        """Put at `path` what the mistake is about."""
        match self.place:
            case "nothing":
                return
            case "a folder":
                path.mkdir()
            case "a link to itself":
                path.symlink_to(path)
            case "a megabyte of text":
                path.write_text("#" * 1_000_001)
            case None:
                path.write_bytes(self.text.encode(self.encoding))

    def changed(self) -> list[str]:
        """Return the changed lines as a diff, what can't be seen spelled as its code point."""
        if self.encoding == "utf-16":
            return []  # every line
        old = self._good.splitlines() if self.whole is None else []
        lines = list(difflib.unified_diff(old, self.text.split("\n")[:-1], n=0, lineterm=""))[2:]
        return [_visible(line) for line in lines if not line.startswith("@@")]

    def notes(self) -> list[str]:
        """Return what the changed lines don't say, in sentences."""
        notes = {
            f"At the path there is {self.place}.": self.place is not None,
            f"Saved as {self.encoding}.": self.encoding != "utf-8",
            f"With `--profile {self.profile}`.": self.profile is not None,
        }
        return [note for note, applies in notes.items() if applies]


def _visible(line: str) -> str:
    """Return `line` with what can't be seen spelled as its code point."""
    return "".join(letter if letter.isprintable() else f"<U+{ord(letter):04X}>" for letter in line)


MISTAKES = [
    Mistake(about=section["about"], **mistake) for section in _TABLE["sections"] for mistake in section["mistakes"]
]


def page() -> str:
    """Return sweeps/MISTAKES.md."""
    parts = [_INTRODUCTION + GOOD + "```"]
    about = None
    for mistake in MISTAKES:
        if mistake.about != about:
            about = mistake.about
            parts.append(f"## {about}")
            if mistake.of == "searched":
                parts.append(f"Each entry shows a change to this good file:\n\n```yaml\n{SEARCHED}```")
        changed = [] if mistake.place else mistake.changed()
        block = "\n".join(["```diff", *changed, *mistake.says, "```"])
        parts.append(" ".join([f"**{mistake.title}.**", *mistake.notes()]) + f"\n{block}")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(page())
