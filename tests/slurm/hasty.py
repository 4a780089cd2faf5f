"""A slot that saves and journals twice a second, so that a fault finds much half done. It takes a slot's arguments."""

import sys
from pathlib import Path

import sweeper.worker.work
from sweeper.executors.slurm import search_source, slot

sweeper.worker.work.CHECKPOINT_EVERY_S = 0.5
slot.TOLD_EVERY_S = 0.5
slot.LOOK_EVERY_S = search_source.LOOK_EVERY_S = 1.0
if __name__ == "__main__":
    sys.exit(slot.main(Path(sys.argv[-1])))
