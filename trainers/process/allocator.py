"""Keeps freed memory in the process. By default glibc returns large arrays to the system, which clears each new one."""

import ctypes

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
NEVER = -1
GROWTH_BYTES = 64 * 2**20


def keep_freed_memory() -> bool:
    """Make this process reuse freed memory for arrays of any size; return whether its C library supports that.

    Only glibc does; elsewhere nothing changes. The peak stays the same; memory is returned when the process ends.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wanted = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, NEVER), (M_TOP_PAD, GROWTH_BYTES))
    return all(mallopt(option, value) == 1 for option, value in wanted)
