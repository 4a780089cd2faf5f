"""The toy as a program: it saves at every other step and when it is told to end, and goes on from what it finds."""

import argparse
import json
import os
import random
import signal
import time
from pathlib import Path

arguments = argparse.ArgumentParser()
arguments.add_argument("--lr", type=float)
arguments.add_argument("--steps", type=int)
arguments.add_argument("--seed", type=int)
arguments.add_argument("--pause", type=float, default=0.0)
given = arguments.parse_args()

folder = Path(os.environ["SWEEPER_CHECKPOINT"])
draws = random.Random(given.seed)
step, w = 0, 0.0
if saved := sorted(folder.glob("*.json")):
    step, w, (version, numbers, spare) = json.loads(saved[-1].read_text())
    draws.setstate((version, tuple(numbers), spare))

told_to_end = False


def note(number: int, frame: object) -> None:
    global told_to_end
    told_to_end = True


signal.signal(signal.SIGTERM, note)
while step < given.steps and not told_to_end:
    time.sleep(given.pause)
    step += 1
    w += given.lr * (1 - w) + draws.gauss(0, 0.01)
    loss = abs(1 - w)
    print(json.dumps({"step": step, "closeness": 1 - loss, "loss": loss}), flush=True)
    if step % 2 == 0 or step == given.steps or told_to_end:
        file = folder / f"{step:06}.json"
        file.write_text(json.dumps([step, w, draws.getstate()]))
        print(json.dumps({"step": step, "checkpoint": file.name}), flush=True)
