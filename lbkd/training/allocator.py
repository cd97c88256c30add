"""Memory that one step of training frees and the next one takes again."""

import ctypes
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER, _LARGEST = 2**31 - 1, 2**30


def keep_freed_memory() -> None:
    """Let glibc keep what is freed, for this process; nothing happens with other C libraries.

    By default it gives blocks beyond a few megabytes back to the system, which hands them out again page by
    page, zeroed: tens of thousands of page faults a step, for activations that are as large as a step ago.
    """
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, _LARGEST)
        library.mallopt(_TRIM_THRESHOLD, _NEVER)
