"""What the programs of `played` do. Imports nothing but the standard library, so that a call takes milliseconds."""

import fcntl
import json
import os
import re
import signal
import sys

DOWN = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"


def main(words):
    name = words[0].rpartition("/")[2]
    path = os.environ["PLAYED_SLURM"]
    with open(path, "r+") as file:  # noqa: PTH123  # pathlib takes a third of the program's time
        fcntl.lockf(file, fcntl.LOCK_EX)
        state = json.load(file)
        state["calls"].append([name, *words[1:]])
        code, out, err, lost = 1, "", "", False
        if state.get("down"):
            err = DOWN
        else:
            code, out, err = {"sbatch": sbatch, "squeue": squeue, "scontrol": scontrol, "scancel": scancel}[name](
                state, words[1:]
            )
            lost = name == "sbatch" and state.get("lost", False)
        file.seek(0)
        file.truncate()
        json.dump(state, file)
    if lost:
        os.kill(os.getppid(), signal.SIGKILL)
        os._exit(1)
    sys.stdout.write(out)
    sys.stderr.write(err and err + "\n")
    sys.exit(code)


def options(words):
    return {key.lstrip("-"): value for key, _, value in (word.partition("=") for word in words if word[:2] == "--")}


def sbatch(state, words):
    if state.get("refuse"):
        return 1, "", state["refuse"]
    given, number = options(words), state["next"]
    state["next"] += 1
    indices = []
    for part in given["array"].split(","):
        first, _, last = part.partition("-")
        indices += range(int(first), int(last or first) + 1)
    for index in indices:
        state["jobs"].append({
            "id": f"{number}_{index}", "name": given["job-name"], "state": "PENDING", "node": "", "restarts": 0,
            "since": "2026-11-27T21:00:00", "reason": "Priority", "limit": given.get("time", "UNLIMITED"),
            "ran": "00:00:10",
        })  # fmt: skip
    return 0, f"{number}\n", ""


def squeue(state, words):
    names = options(words)["name"].split(",")
    rows = [
        "|".join(job[key] for key in ("id", "state", "node", "since", "name", "reason"))
        for job in state["jobs"]
        if job["name"] in names
    ]
    return 0, "".join(f"{row}\n" for row in rows), ""


def scontrol(state, words):
    if words == ["show", "config"]:
        return 0, f"MaxArraySize            = {state['most_elements']}\n", ""
    job = next((job for job in state["jobs"] if job["id"] == words[-1]), None)
    if job is None:
        return 1, "", "slurm_load_jobs error: Invalid job id specified"
    array, index = job["id"].split("_")
    if words[0] == "requeue":
        if state.get("no_requeue"):
            return 1, "", f"Requested operation is presently disabled for job {job['id']}"
        job.update(state="PENDING", restarts=job["restarts"] + 1, reason="BeginTime")
        return 0, "", ""
    return (
        0,
        (
            f"JobId={array} ArrayJobId={array} ArrayTaskId={index} JobName={job['name']} JobState={job['state']} "
            f"Reason={job['reason']} Requeue=1 Restarts={job['restarts']} RunTime={job['ran']} "
            f"TimeLimit={job['limit']} NodeList={job['node']}\n"
        ),
        "",
    )


def scancel(state, words):
    given = options(words)
    ids = [word for word in words if not word.startswith("--")]
    for job in state["jobs"]:
        if job["id"] in ids or job["id"].partition("_")[0] in ids:
            if given.get("state") == "PENDING" and job["state"] != "PENDING":
                continue
            if "signal" not in given or not re.match("RUN", job["state"]):
                job["state"] = "CANCELLED"
    return 0, "", ""
