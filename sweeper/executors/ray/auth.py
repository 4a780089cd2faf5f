"""The token that Ray asks of every client. A Ray of this machine alone listens on 127.0.0.1, which all its users reach.

The token passes between processes only in the environment, never on a command line or in a log. Ray reads the
environment when it is imported, so use this module first. It does not import Ray.
"""

import os
import secrets
from functools import cache
from pathlib import Path

from sweeper.errors import SweepError

MODE, TOKEN, TOKEN_FILE = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
USUAL_FILE = Path(".ray", "auth_token")
"""The last file in which Ray looks for a token, relative to the home folder."""


@cache  # Ray keeps the first token that it reads in a process
def use_own() -> None:
    """Put a new random token into the environment, for the Ray that this process starts."""
    os.environ.update({MODE: "token", TOKEN: secrets.token_hex(32)})
    os.environ.pop(TOKEN_FILE, None)


def use_theirs(address: str) -> None:
    """Have Ray send the user's token to the cluster at `address`, unless RAY_AUTH_MODE is set to another mode.

    Raises SweepError when there is no token.
    """
    if os.environ.setdefault(MODE, "token").lower() != "token" or os.environ.get(TOKEN):
        return
    named = os.environ.get(TOKEN_FILE)
    file = Path(named) if named else Path.home() / USUAL_FILE
    if not file.is_file():
        raise SweepError(
            f"--address {address}: there is no token for that cluster: {TOKEN} isn't set, and there is no file {file}; "
            f"copy the cluster's token file there, set {TOKEN_FILE}, or set {MODE}=disabled for a cluster that accepts "
            "everybody who can reach it"
        )
