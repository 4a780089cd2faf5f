"""sbatch, squeue, scontrol and scancel as programs on PATH that play a Slurm from one JSON file.

What they print has the form that Slurm 22.05 prints, as `recorded.py` has it. They start no job: a test runs the slots
that it wants, with `slot_environment`. A key of the file breaks something:

- `refuse`: sbatch prints this line and fails
- `down`: every command fails as without slurmctld
- `lost`: sbatch takes the job and is killed before it answers
- `no_requeue`: scontrol refuses to queue a job again
"""

import fcntl
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = f"""#!{sys.executable} -SE
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import played_program
played_program.main(sys.argv)
"""


class Played:
    """A played Slurm in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ("sbatch", "squeue", "scontrol", "scancel"):
            (folder / name).write_text(PROGRAM)
            (folder / name).chmod(0o755)
        self._file = folder / "state.json"
        self._file.write_text(json.dumps({"next": 100, "jobs": [], "calls": [], "most_elements": 1001}))

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.folder}:{os.environ['PATH']}", "PLAYED_SLURM": str(self._file)}

    @contextmanager
    def _changed(self) -> Iterator[dict[str, Any]]:
        """Yield the state, which no program reads or writes meanwhile, and keep what was changed of it."""
        with self._file.open("r+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            state = json.load(file)
            yield state
            file.seek(0)
            file.truncate()
            json.dump(state, file)

    @property
    def state(self) -> dict[str, Any]:
        with self._changed() as state:
            return state

    def set(self, **changes: Any) -> None:
        with self._changed() as state:
            state.update(changes)

    @property
    def jobs(self) -> list[dict[str, Any]]:
        return self.state["jobs"]

    def change(self, job: str, **changes: Any) -> None:
        """Change one element, such as 100_0, or all of an array."""
        with self._changed() as state:
            for each in state["jobs"]:
                if job in (each["id"], each["id"].partition("_")[0]):
                    each.update(changes)

    def calls(self, name: str) -> list[list[str]]:
        """Return the words of each call of a command, without its name."""
        return [words[1:] for words in self.state["calls"] if words[0] == name]

    def purge(self) -> None:
        """Forget all jobs, as slurmctld does some minutes after their end."""
        self.set(jobs=[])

    def slot_environment(self, job: str) -> dict[str, str]:
        """Return what Slurm gives to the process of an element, which runs from now on."""
        self.change(job, state="RUNNING", node="a")
        array, index = job.split("_")
        (found,) = [each for each in self.jobs if each["id"] == job]
        return self.environment | {
            "SLURM_JOB_ID": array,
            "SLURM_ARRAY_JOB_ID": array,
            "SLURM_ARRAY_TASK_ID": index,
            "SLURM_JOB_NAME": found["name"],
            "SLURM_RESTART_COUNT": str(found["restarts"]),
            "SLURMD_NODENAME": "a",
        }
