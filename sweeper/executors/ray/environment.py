"""How Ray and Tune behave in a driver and its workers; sets what they read as they are imported, so it comes first."""

import os

os.environ.update(
    {
        "RAY_AIR_NEW_OUTPUT": "0",  # the new output engine prints boxes to stdout whatever its verbosity
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_enable_metrics_collection": "0",
        "RAY_task_events_report_interval_ms": "0",  # nobody asks Ray what ran
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",
        "TUNE_FORCE_TRIAL_CLEANUP_S": "10",
        "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    }
)
os.environ.setdefault("RAY_AUTH_MODE", "token")  # see auth.py, which finds the token

AWAKE = "SWEEPER_AWAKE_WORKERS"
"""The environment variable that names the folder in which each worker leaves a file once it has its imports."""


class RayGone(BaseException):
    """Ray is lost. No Exception, since Tune tidies up after those, and waits on the dead for that."""
