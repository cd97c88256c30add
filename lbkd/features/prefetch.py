"""Items prepared in a thread, so that the host works beside the device."""

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetched(items: Iterable[T], ahead: int = 2) -> Generator[T]:
    """The items in their order, made in another thread, up to `ahead` of them in advance.

    An error while an item is made is raised in place of the item. The thread ends after the last item, or
    when the generator is closed: a caller that may stop early must close the generator.
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
