"""Opens a page in the user's browser once a server answers. `sweeper ui` starts it beside the server that it becomes.

Run as `python -m sweeper.cli.terminal.browser PORT URL`.
"""

import os
import socket
import subprocess
import sys
import time
import webbrowser

PATIENCE_S = 120.0
PAUSE_S = 0.3


def can_open() -> bool:
    """Return whether this process has a desktop on which a browser can open, or the user names one in BROWSER."""
    return bool(
        os.environ.get("BROWSER")
        or sys.platform == "darwin"
        or os.environ.get("DISPLAY")
        or os.environ.get("WAYLAND_DISPLAY")
    )


def open_later(port: int, url: str) -> None:
    """Start a process that opens `url` as soon as `port` of this machine answers. Does nothing if it can't start."""
    try:
        subprocess.Popen(
            [sys.executable, "-P", "-m", "sweeper.cli.terminal.browser", str(port), url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def main(port: int, url: str, parent: int) -> None:
    """Wait until `port` answers, and open `url`. Give up when the process `parent` ends or after `PATIENCE_S`."""
    ends_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_s and os.getppid() == parent:
        if _answers(port):
            webbrowser.open(url)
            return
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], os.getppid())
