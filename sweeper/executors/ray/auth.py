"""The token that Ray asks of whoever talks to it: Ray listens on every interface, whatever address it is given.

It goes from process to process by the environment alone, never on a command line or in a log. Ray reads the environment
as it is imported, so this comes first and imports none of it.
"""

import os
import secrets
from functools import cache
from pathlib import Path

from sweeper.errors import SweepError

MODE, TOKEN, TOKEN_FILE = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
USUAL_FILE = Path(".ray", "auth_token")
"""Where Ray looks last, in the home folder."""


@cache  # Ray keeps the first token that it reads in a process
def use_own() -> None:
    """Have the Ray that this process starts, and nobody else's, take a token made for it here and now."""
    os.environ.update({MODE: "token", TOKEN: secrets.token_hex(32)})
    os.environ.pop(TOKEN_FILE, None)


def use_theirs(address: str) -> None:
    """Have Ray show the user's token to the cluster at `address`, unless the user has said that it wants none.

    Raises SweepError when there is no token to show.
    """
    if os.environ.setdefault(MODE, "token").lower() != "token" or os.environ.get(TOKEN):
        return
    named = os.environ.get(TOKEN_FILE)
    file = Path(named) if named else Path.home() / USUAL_FILE
    if not file.is_file():
        raise SweepError(
            f"--address {address}: there is no token to show to that cluster: {TOKEN} isn't set, and there is no file "
            f"{file}; copy the cluster's there or set {TOKEN_FILE}, or set {MODE}=disabled for a cluster that anybody "
            "who reaches it may use"
        )
