"""Tracking stores of all manners: a real server in a process of its own, one that babbles, and a bad line to one."""

import http.server
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sweeper.tracking.address import default_uri, ui_command, ui_environment
from tests.mlflow_server import start_server
from tests.waiting import HANG_S, wait_until

MLFLOW_SERVER = (sys.executable, "-m", "mlflow", "server")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def real_server(folder: Path) -> Iterator[int]:
    """Run an MLflow server on a new store in `folder`, by the command of `sweeper ui`; yield its port.

    It leaves nothing in the folder that it was started in.
    """
    port = free_port()
    (folder / "cwd").mkdir(parents=True)
    options = ui_command(default_uri(folder), port)[len(MLFLOW_SERVER) :]
    process = start_server(
        options, cwd=folder / "cwd", env=os.environ | ui_environment(default_uri(folder)), log=folder / "server.log"
    )
    try:
        wait_until(lambda: process.poll() is not None or answers(port), "the server")
        assert process.poll() is None, (folder / "server.log").read_text()
        yield port
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        process.wait(HANG_S)
    assert list((folder / "cwd").iterdir()) == []


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def babbling_server(replies: Sequence[tuple[int, bytes]]) -> Iterator[int]:
    """Answer every request with the next of `replies` (status, body), over and over; yield the port."""
    count = 0

    class Babbler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal count
            status, body = replies[count % len(replies)]
            count += 1
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Babbler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


class BadLine:
    """A line to the server at `target` that can be cut and mended, and that delays or withholds every answer."""

    def __init__(self, target: int, *, delay_s: float = 0.0, cut: bool = False, held: bool = False) -> None:
        """Each answer takes `delay_s` more; while the line is `held`, none arrives."""
        self.port = free_port()
        self.withheld = 0
        """How many answers have been kept back so far."""
        self._flowing = threading.Event()
        if not held:
            self.release()
        self._target, self._delay_s = target, delay_s
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []
        if not cut:
            self.mend()

    def mend(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def hold(self) -> None:
        """Keep answers back from now on."""
        self._flowing.clear()

    def release(self) -> None:
        """Let answers through, those that were kept back too."""
        self._flowing.set()

    def cut(self) -> None:
        """Refuse connections from now on and break those that are."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        while self._open:
            with suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open += [near, far]
                threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, suppress(OSError):
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    if ready is far:
                        self.withheld += not self._flowing.is_set()
                        self._flowing.wait()
                        time.sleep(self._delay_s)
                    (near if ready is far else far).sendall(data)
