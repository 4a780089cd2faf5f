"""Environment variables of Ray and Tune in a driver and its workers. Read on import, so import this module first."""

import os

os.environ.update(
    {
        "RAY_AIR_NEW_OUTPUT": "0",  # the new output engine prints boxes to stdout at any verbosity
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_enable_metrics_collection": "0",
        "RAY_task_events_report_interval_ms": "0",  # nothing reads them
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",
        "TUNE_FORCE_TRIAL_CLEANUP_S": "10",
        "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    }
)
os.environ.setdefault("RAY_AUTH_MODE", "token")  # see auth.py, which finds the token

AWAKE = "SWEEPER_AWAKE_WORKERS"
"""The environment variable that names the folder in which each worker creates a file when its imports are done."""


MODULES = "SWEEPER_WORKER_MODULES"
"""The environment variable with the names of the modules that each worker imports when it starts, between spaces."""


class RayGone(BaseException):
    """Ray is lost. Not an Exception: after an Exception, Tune cleans up and waits for dead daemons."""


class RayNotStarted(RayGone):
    """Ray's daemons ended, or did not come up in time, before any worker was of use."""
