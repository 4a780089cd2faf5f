"""One call for a GPU machine that is lent for minutes: the most valuable stage first, each with a limit of its own.

    OUT=FOLDER [DEVICE=cpu] [LIMIT=570] python3 -m benchmarks.gpu.stages [whole|quick|rest]

`$OUT/stages.txt` has each stage's exit status and seconds as it ends, and each stage has a log there. `whole` measures
and then trains `omniglot_basic` at its full length; `quick` does all of it tiny, for a dry run; `rest` goes on with the
sweep from `.gpu/omniglot_basic.zip`, the archive that an earlier call brought back. Python's own library is enough
here; the stages need the project's.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = "omniglot_basic.zip"
FOR_EXPORT_S = 75
"""Seconds at the end that the sweep leaves for its status and its archive."""
GRACE_S = 25
"""Seconds between the request to stop and the kill: a sweep saves in them."""
PART_BYTES = 15_000_000
DRY_RUN_PATIENCE = 10
"""A dry run on a busy CPU asks whether the stages run, not how fast."""


class Stage(NamedTuple):
    """A command, and the seconds it may take."""

    name: str
    limit_s: float
    words: list[str]


class Call:
    """The stages of one call, in the time that is left to it."""

    def __init__(self, out: Path, limit_s: float, environment: dict[str, str]) -> None:
        self._out, self._environment = out, environment
        self._ends_s = time.monotonic() + limit_s

    @property
    def left_s(self) -> float:
        return self._ends_s - time.monotonic()

    def run(self, stage: Stage) -> int:
        """Run `stage` within its limit and what is left, and return its status, 124 if its time was over."""
        limit_s = min(stage.limit_s, self.left_s - 5)
        if limit_s < 5:
            self._note(f"{stage.name}: no time left")
            return 124
        begun = time.monotonic()
        with (self._out / f"{stage.name}.log").open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                stage.words, cwd=ROOT, env=self._environment, stdout=log, stderr=subprocess.STDOUT
            )
            try:
                status = process.wait(limit_s)
            except subprocess.TimeoutExpired:
                process.terminate()
                try:
                    process.wait(GRACE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                status = 124
        self._note(f"{stage.name}: status {status}, {time.monotonic() - begun:.0f} s")
        return status

    def _note(self, line: str) -> None:
        print(line, flush=True)
        with (self._out / "stages.txt").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def gpu_tests() -> list[str]:
    """Return the files that have tests for a GPU: collecting all others would take most of their stage's time."""
    files = sorted((ROOT / "tests/trainers").rglob("test_*.py"))
    return [str(path.relative_to(ROOT)) for path in files if "mark.gpu" in path.read_text(encoding="utf-8")]


def measuring(device: str, out: Path, *, quick: bool) -> list[Stage]:
    """Return the stages that measure, and write the table of engines."""
    python, rows = sys.executable, str(out / "rows.jsonl")
    candidates = [python, "-m", "benchmarks.gpu.candidates", "--device", device, "--out", rows]
    if quick:
        tiny = ["--tiny", "--protocols", "strokes", "--orders", "first", "--runs", "1", "2"]
        first = [*candidates, *tiny]
        later = [[*candidates, *tiny, "--engines", "inductor", "--runs", "1"]]
    else:
        first = [*candidates, "--protocols", "omniglot"]
        later = [
            [*candidates, "--protocols", "omniglot", "--arithmetic", "tf32", "--engines", "graph", "unfold"],
            [*candidates, "--protocols", "omniglot", "--engines", "inductor", "--orders", "first", "--runs", "1", "16"],
            [*candidates, "--protocols", "mini_imagenet"],
        ]
    about = (
        "import sys, torch; print(sys.version, torch.__version__, torch.version.cuda, torch.cuda.is_available() and "
        "(torch.cuda.get_device_name(), torch.backends.cudnn.version()))"
    )
    return [
        Stage("versions", 30, [python, "-c", about]),
        Stage("tests", 70, [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", "-rs",
                            "-m", "gpu", *gpu_tests()]),
        Stage("candidates", 110, first),
        *(Stage(f"candidates-{n}", 50, words) for n, words in enumerate(later, start=2)),
        Stage("winners", 20, [python, "-m", "benchmarks.gpu.winners", rows, "--write"]),
    ]  # fmt: skip


def sweep(call: Call, device: str, out: Path, *, quick: bool) -> int:
    """Train real trials with the engine that the table names now, bring back their archive, return the worst status."""
    file = "benchmarks/gpu/dry_run.yaml" if quick else "sweeps/omniglot_basic.yaml"
    engine = ["--engine", "vmap"] if quick else []  # a CPU's own would be compiled first
    results = out / "results"
    sweeper, at = [sys.executable, "-m", "sweeper"], ["--results", str(results)]
    sent = ROOT / ".gpu" / ARCHIVE
    if not quick and sent.is_file():
        call.run(Stage("import", 30, [*sweeper, "import", str(sent), *at]))
    trained = call.run(Stage("sweep", call.left_s - FOR_EXPORT_S, [
        *sweeper, "run", file, *engine, "--executor", "inline", "--tracking-uri", "none", "--device", device,
        "--pack", "2" if quick else "16", *at,
    ]))  # fmt: skip
    shown = [
        call.run(Stage("status", 20, [*sweeper, "status", file, *at])),
        call.run(Stage("export", 30, [*sweeper, "export", file, *at, "--out", str(out / ARCHIVE)])),
    ]
    shutil.rmtree(results, ignore_errors=True)
    return max(trained, *shown)


def split(archive: Path) -> None:
    """Cut a large archive into parts, ARCHIVE.aa and so on, since single large files may not come back."""
    if archive.is_file() and archive.stat().st_size > PART_BYTES:
        whole = archive.read_bytes()
        for n, begin in enumerate(range(0, len(whole), PART_BYTES)):
            part = f"{chr(97 + n // 26)}{chr(97 + n % 26)}"
            archive.with_name(f"{archive.name}.{part}").write_bytes(whole[begin : begin + PART_BYTES])
        archive.unlink()


def main() -> int:
    """Run the stages; return 0 if every stage but a cut-off sweep did."""
    mode = sys.argv[1] if len(sys.argv) > 1 else "whole"
    if mode not in ("whole", "quick", "rest") or "OUT" not in os.environ:
        print("usage: OUT=FOLDER [DEVICE=cpu] [LIMIT=570] python3 -m benchmarks.gpu.stages [whole|quick|rest]")
        return 2
    out, device = Path(os.environ["OUT"]).absolute(), os.environ.get("DEVICE", "cuda")
    out.mkdir(parents=True, exist_ok=True)
    own = {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "XDG_CACHE_HOME": str(out / "cache")}
    call = Call(out, float(os.environ.get("LIMIT", "570")), {**os.environ, **own})
    statuses = []
    if mode != "rest":
        stages = measuring(device, out, quick=mode == "quick")
        patience = DRY_RUN_PATIENCE if mode == "quick" else 1
        statuses = [call.run(stage._replace(limit_s=patience * stage.limit_s)) for stage in stages]
        shutil.copy(ROOT / "trainers/maml/engines/gpu_table.py", out)
    statuses.append(sweep(call, device, out, quick=mode == "quick"))
    split(out / ARCHIVE)
    shutil.rmtree(out / "cache", ignore_errors=True)
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
