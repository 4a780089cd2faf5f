"""A real Slurm of two nodes in one folder: slurmctld, two slurmd and munge, all of them processes of this machine.

The nodes share the cores, the kernel and the file system, so a fault of locks between hosts does not show by itself.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.processes import alive
from tests.waiting import HANG_S, wait_until

NODES = ("a", "b")
START_S = 240.0
"""A Slurm that has no idle nodes then has none later."""
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "munged", "munge", "mungekey")
CONF = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdSpoolDir={folder}/spool-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=10
MinJobAge=300
ReturnToService=2
SlurmdTimeout={node_timeout_s}
SlurmctldTimeout=10
MaxArraySize={most_elements}
MaxJobCount=20000
NodeName=a NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs={cpus} RealMemory=4000 State=UNKNOWN
NodeName=b NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs={cpus} RealMemory=4000 State=UNKNOWN
PartitionName=low Nodes=a,b Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=2
PartitionName=high Nodes=a,b MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""


def why_not() -> str:
    """Return why no Slurm can be started here, "" if one can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"Slurm is not installed ({', '.join(missing)} missing): apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "only root can start a Slurm whose jobs run as any user"


class NotStartedError(Exception):
    """The daemons of Slurm do not work on this machine, such as in a container that forbids them something."""


class Cluster:
    """A Slurm in `folder`, from `start` to `stop`. `environment` is what its commands need."""

    def __init__(self, folder: Path, *, cpus: int = 1, most_elements: int = 1001, node_timeout_s: int = 10) -> None:
        self.folder = folder
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        self._munged: subprocess.Popen[bytes] | None = None
        for name in ("state", "spool-a", "spool-b"):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)
        host = socket.gethostname().split(".")[0]
        text = CONF.format(
            host=host, ports=_free_ports(3), folder=folder, cpus=cpus, most_elements=most_elements,
            node_timeout_s=node_timeout_s,
        )  # fmt: skip
        (folder / "slurm.conf").write_text(text)

    def start(self, **extra: str) -> None:
        """Start munge and the daemons; `extra` is added to the environment of the nodes."""
        self._start_munge()
        self.start_controller()
        for node in NODES:
            self.start_node(node, **extra)
        ends_s = time.monotonic() + START_S
        while not self._idle():
            if time.monotonic() > ends_s:
                raise NotStartedError(f"no two idle nodes in {START_S:.0f} s\n{self.story()}")
            time.sleep(0.1)

    def _idle(self) -> bool:
        return self.run("sinfo", "-h", "-p", "low", "-o", "%D %t", check=False).strip() == "2 idle"

    def _start_munge(self) -> None:
        """Start a munge of this cluster alone: another cluster may end while this one lives."""
        files = {name: self.folder / f"munge.{name}" for name in ("key", "socket", "pid", "log", "seed")}
        subprocess.run(["mungekey", "--create", f"--keyfile={files['key']}"], check=True)
        words = ["munged", "--foreground", "--force", f"--key-file={files['key']}", f"--socket={files['socket']}"]
        words += [f"--pid-file={files['pid']}", f"--log-file={files['log']}", f"--seed-file={files['seed']}"]
        self._munged = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: _munge_answers(files["socket"]), "munge")

    def start_controller(self) -> None:
        subprocess.run(["slurmctld", "-f", self.environment["SLURM_CONF"]], check=True)

    def start_node(self, node: str, **extra: str) -> None:
        words = ["slurmd", "-f", self.environment["SLURM_CONF"], "-N", node]
        subprocess.run(words, check=True, env=os.environ | self.environment | extra)

    def stop(self) -> None:
        """End the jobs, the daemons and munge."""
        self.run("scancel", "--signal=KILL", "--full", "--state=RUNNING", "--user=root", check=False)
        self.run("scancel", "--user=root", check=False)
        for name in ("slurmd-a", "slurmd-b", "slurmctld"):
            self.kill(name, signal.SIGTERM)
        if self._munged is not None:
            self._munged.terminate()
            self._munged.wait()

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """End a daemon: slurmctld, slurmd-a or slurmd-b. Its jobs are left as they are."""
        path = self.folder / f"{name}.pid"
        if path.exists() and (pid := path.read_text().strip()):
            try:
                os.kill(int(pid), number)
            except ProcessLookupError:
                return
            wait_until(lambda: not alive(pid), f"the end of {name}")

    def run(self, *words: str, check: bool = True) -> str:
        """Run a command of Slurm and return what it prints."""
        done = subprocess.run(
            words, capture_output=True, text=True, env=os.environ | self.environment, check=False, timeout=HANG_S
        )
        assert done.returncode == 0 or not check, f"{words}: {done.stderr}"
        return done.stdout

    def jobs(self, *states: str) -> list[str]:
        """Return the ids of all elements in these states, such as 12_0."""
        words = ["squeue", "-h", "-r", "-o", "%i", "-t", ",".join(states) or "PENDING,RUNNING,COMPLETING"]
        return self.run(*words, check=False).split()

    def story(self) -> str:
        """Return the queue and the last lines of slurmctld, for the message of a failed test."""
        log = (self.folder / "slurmctld.log").read_text(errors="replace")
        return f"{self.run('squeue', '-r', check=False)}\n{self.run('sinfo', check=False)}\n{log[-5000:]}"

    def hurry(self) -> None:
        """Let jobs that are queued again begin now: Slurm lets them wait for two minutes."""
        for job in self.jobs("PENDING"):
            self.run("scontrol", "update", f"jobid={job}", "StartTime=now", check=False)


def _munge_answers(socket: Path) -> bool:
    return subprocess.run(["munge", "-n", f"--socket={socket}"], capture_output=True, check=False).returncode == 0


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
