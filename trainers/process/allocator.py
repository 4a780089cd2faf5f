"""Keeps freed memory in the process: glibc returns large arrays to the system, which then clears new ones each step."""

import ctypes

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
NEVER = -1
GROWTH_BYTES = 64 * 2**20


def keep_freed_memory() -> bool:
    """Have this process serve arrays of any size from memory it has; return whether its C library can be told to.

    Only glibc can; elsewhere nothing changes. The peak is the same, but it isn't given back before the process ends.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wanted = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, NEVER), (M_TOP_PAD, GROWTH_BYTES))
    return all(mallopt(option, value) == 1 for option, value in wanted)
