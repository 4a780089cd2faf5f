"""A Ray cluster that already runs: this process joins it as a driver. It starts and stops none of its daemons."""

import logging
import os
import re
import socket
from pathlib import Path
from typing import Literal, NamedTuple

from sweeper.errors import SweepError
from sweeper.executors.ray import auth as ray_auth
from sweeper.executors.ray.place import room_on, slot_of
from sweeper.host.devices import Device
from sweeper.host.streams import chatter_to

CONNECT_S = 5.0
ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9_.-]+):(?P<port>\d{1,5})")
RETRIES = "RAY_NUM_REDIS_GET_RETRIES"


class Room(NamedTuple):
    """What a cluster offers a run: the device, the reason for it, and how many workers fit when it is idle."""

    device: Device
    reason: str
    workers: int


class Cluster:
    """A cluster that this process has joined as a driver, until the process ends."""

    def __init__(self, address: str) -> None:
        """Join the cluster at `address`, host:port or "auto". Raises SweepError (address, token) or ClusterError."""
        self.address = address
        _refuse_no_address(address)
        ray_auth.use_theirs(address)
        os.environ.setdefault(RETRIES, "3")  # one second each; a refused token stays refused
        with chatter_to(Path(os.devnull)):
            _connect(address)

    def room(self, wanted: Literal["auto", "cpu", "cuda"], threads: int) -> Room:
        """Return the device, and how many workers of `threads` CPUs fit. Raises ClusterError when none fits."""
        from sweeper.executors.ray.nodes import ClusterError, living

        nodes = living()
        gpus = sum(node["Resources"].get("GPU", 0) for node in nodes)
        device: Device = "cuda" if wanted == "cuda" or (wanted == "auto" and gpus) else "cpu"
        rooms = [room for node in nodes if (room := room_on(node, slot_of(threads, gpu=float(device == "cuda"))))]
        kind = "GPUs" if device == "cuda" else "CPUs"
        if not rooms:
            raise ClusterError(
                f"--address {self.address}: none of its {len(nodes)} living nodes has {kind} for --device {device}; "
                "start a node that has them"
            )
        reason = f"room for {sum(rooms)} workers on {len(rooms)} nodes of the cluster at {self.address}"
        return Room(device, reason, sum(rooms))


def _refuse_no_address(address: str) -> None:
    if address.startswith("ray://"):
        raise SweepError(
            f"--address {address}: Ray's client protocol can't carry a run; give host:port of the head node, on a "
            "machine of the cluster, or use `ray job submit`"
        )
    found = ADDRESS.fullmatch(address)
    if address != "auto" and (found is None or not 0 < int(found["port"]) < 65536):
        raise SweepError(
            f"--address {address}: not an address of a Ray cluster; give host:port of its head node, or auto"
        )


def _connect(address: str) -> None:
    from sweeper.executors.ray.nodes import ClusterError, ray

    found = ADDRESS.fullmatch(address)
    try:
        if found:  # Ray itself would retry for minutes
            socket.create_connection((found["host"], int(found["port"])), timeout=CONNECT_S).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except OSError as error:
        raise ClusterError(f"--address {address}: {_why(error)}") from None
    except (RuntimeError, ValueError) as error:
        raise ClusterError(f"--address {address}: {_why(error)}") from None


def _why(error: BaseException) -> str:
    """Return why this process could not join, and what to do."""
    reason = " ".join(f"{error} {error.__cause__ or ''}".split())
    if "InvalidAuthToken" in reason or "authentication token" in reason:
        return (
            f"that cluster refuses this token; set {ray_auth.TOKEN} or {ray_auth.TOKEN_FILE} to the token that its "
            "daemons were started with"
        )
    if "Version mismatch" in reason:
        return f"{reason}; use the same Python and Ray on this machine and on the cluster"
    if isinstance(error, OSError) and error.strerror:
        return f"no Ray answers there ({error.strerror}); start one with `ray start --head`, or give its host:port"
    return f"it can't be joined ({reason[:600]}); the driver must run on a machine that is a node of the cluster"
