"""Work on the host beside work on the device."""

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetched(items: Iterable[T], ahead: int = 2) -> Generator[T]:
    """The same items in the same order, but made in a thread of its own, `ahead` of them beforehand.

    An error in making an item is raised where the item would have come. Close the generator if it may not be
    used up: its thread ends then, or after the last item.
    """
    source, end = iter(items), object()
    with ThreadPoolExecutor(1, "prefetch") as thread:
        made = deque(thread.submit(next, source, end) for _ in range(ahead))
        try:
            while (item := made.popleft().result()) is not end:
                made.append(thread.submit(next, source, end))
                yield item  # type: ignore[misc]
        finally:
            thread.shutdown(cancel_futures=True)
