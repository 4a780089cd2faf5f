"""What Slurm 22.05 printed on the two nodes of `cluster`, word for word but for the paths."""

from sweeper.executors.slurm.queue import Life

SQUEUE = """\
1_2|PENDING||2026-11-27T20:58:56|sweeper-x.0|Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions
7_0|PENDING||2026-11-27T20:59:39|sweeper-x.1|BeginTime
1_1|RUNNING|b|2026-11-27T20:58:56|sweeper-x.0|None
1_3|COMPLETING|a|2026-11-27T20:58:56|sweeper-x.0|None
4_1|COMPLETED|a|2026-11-27T20:59:01|wrap|None
1_0|CANCELLED|a|2026-11-27T20:58:56|sweeper-x.0|None
"""  # noqa: E501
"""`squeue --noheader --array --states=all --format=FORMAT`."""
JOBS = [
    (
        "1_2",
        "PENDING",
        "",
        "2026-11-27T20:58:56",
        "sweeper-x.0",
        "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions",
    ),
    ("7_0", "PENDING", "", "2026-11-27T20:59:39", "sweeper-x.1", "BeginTime"),
    ("1_1", "RUNNING", "b", "2026-11-27T20:58:56", "sweeper-x.0", "None"),
    ("1_3", "COMPLETING", "a", "2026-11-27T20:58:56", "sweeper-x.0", "None"),
    ("4_1", "COMPLETED", "a", "2026-11-27T20:59:01", "wrap", "None"),
    ("1_0", "CANCELLED", "a", "2026-11-27T20:58:56", "sweeper-x.0", "None"),
]
_RUNNING = (
    "JobId=2 ArrayJobId=1 ArrayTaskId=0 JobName=sweeper-x.0 UserId=root(0) GroupId=root(0) MCS_label=N/A "
    "Priority=4294901759 Nice=0 Account=(null) QOS=(null) JobState=RUNNING Reason=None Dependency=(null) Requeue=1 "
    "Restarts=3 BatchFlag=1 Reboot=0 ExitCode=0:0 RunTime=00:00:03 TimeLimit=04:00:00 TimeMin=N/A "
    "SubmitTime=2026-11-27T20:58:56 EligibleTime=2026-11-27T20:58:56 AccrueTime=Unknown StartTime=2026-11-27T20:58:56 "
    "EndTime=2027-11-27T20:58:56 Deadline=N/A PreemptEligibleTime=2026-11-27T20:58:56 PreemptTime=None "
    "SuspendTime=None SecsPreSuspend=0 LastSchedEval=2026-11-27T20:58:56 Scheduler=Backfill Partition=low "
    "AllocNode:Sid=localhost:9910 ReqNodeList=(null) ExcNodeList=(null) NodeList=a BatchHost=a NumNodes=1 NumCPUs=1 "
    "NumTasks=1 CPUs/Task=1 ReqB:S:C:T=0:0:*:* TRES=cpu=1,node=1,billing=1 Socks/Node=* NtasksPerN:B:S:C=0:0:*:* "
    "CoreSpec=* MinCPUsNode=1 MinMemoryNode=0 MinTmpDiskNode=0 Features=(null) DelayBoot=00:00:00 OverSubscribe=OK "
    "Contiguous=0 Licenses=(null) Network=(null) Command=/results/slot.sh WorkDir=/results "
    "StdErr=/results/slot-1_0.log StdIn=/dev/null StdOut=/results/slot-1_0.log Power= \n"
)
_PENDING = (
    "JobId=1 ArrayJobId=1 ArrayTaskId=2 JobName=sweeper-x.0 UserId=root(0) GroupId=root(0) MCS_label=N/A "
    "Priority=4294901759 Nice=0 Account=(null) QOS=(null) JobState=PENDING Reason=Resources Dependency=(null) "
    "Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=0:0 RunTime=00:00:00 TimeLimit=UNLIMITED TimeMin=N/A "
    "SubmitTime=2026-11-27T20:58:56 EligibleTime=2026-11-27T20:58:56 StartTime=2027-11-27T20:58:56 EndTime=Unknown "
    "Scheduler=Main Partition=low AllocNode:Sid=localhost:9910 ReqNodeList=(null) ExcNodeList=(null) NodeList= "
    "NumNodes=1 NumCPUs=1 Command=/results/slot.sh WorkDir=/results Power= \n"
)
SHOWN = [
    (_RUNNING, Life("1_0", "RUNNING", 3, 14400.0, 3.0, "a")),
    (_PENDING, Life("1_2", "PENDING", 0, None, 0.0, "")),
]
"""`scontrol --oneliner show job`, and what it says."""
CONFIG = """\
MaxArraySize            = 1001
MaxDBDMsgs              = 20008
MaxJobCount             = 20000
"""
"""A part of `scontrol show config`."""
REFUSALS = {
    "sbatch: error: invalid partition specified: nowhere\n"
    "sbatch: error: Batch job submission failed: Invalid partition name specified\n": "invalid partition specified",
    "sbatch: unrecognized option '--foo=1'\nTry \"sbatch --help\" for more information\n": "option '--foo=1'; correct",
}
"""What sbatch prints as it refuses, and a part of what a user must see of it."""
