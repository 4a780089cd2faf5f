"""A line of somebody's output as a log takes it: printable, without a terminal's escapes, and of limited length."""

import re

LONGEST = 2000
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-Z\\-_]")


def log_line(text: str) -> str:
    """Return a line as a terminal would leave it, cut to LONGEST characters; "" for nothing."""
    text = _ESCAPES.sub("", text.rstrip().rpartition("\r")[2])
    text = "".join(character if character.isprintable() or character == "\t" else "\ufffd" for character in text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"
