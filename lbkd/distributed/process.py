"""What this process may keep and take: memory that was freed, open files."""

import ctypes
import resource
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER, _LARGEST = 2**31 - 1, (2**30, 2**25)


def keep_freed_memory() -> None:
    """Let glibc keep what is freed, for this process; nothing happens with other C libraries.

    By default it gives blocks beyond a few megabytes back to the system, which hands them out again page by
    page, zeroed: tens of thousands of page faults a step, for activations that are as large as a step ago.
    """
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        # glibc before 2.35 refuses more than 32 MB; to set the other one alone would fix this one at 128 KB
        if any(library.mallopt(_MMAP_THRESHOLD, size) for size in _LARGEST):
            library.mallopt(_TRIM_THRESHOLD, _NEVER)


def allow_many_files() -> None:
    """Up to the hard limit: every memory-mapped file takes one, and a hundred languages have many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
