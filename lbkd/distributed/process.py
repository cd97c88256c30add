"""Limits of this process: memory that the allocator keeps, and open files."""

import ctypes
import resource
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER, _LARGEST = 2**31 - 1, (2**30, 2**25)


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for this process; other C libraries are left as they are.

    By default glibc returns blocks of more than a few megabytes to the system, which hands out zeroed pages
    one by one: every training step would take tens of thousands of page faults for its activations.
    """
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        # glibc before 2.35 refuses more than 32 MB; the trim threshold alone would fix the mmap one at 128 KB
        if any(library.mallopt(_MMAP_THRESHOLD, size) for size in _LARGEST):
            library.mallopt(_TRIM_THRESHOLD, _NEVER)


def allow_many_files() -> None:
    """Raise the limit of open files to the hard limit: each memory-mapped file is an open file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
