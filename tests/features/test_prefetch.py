import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from lbkd.features.prefetch import prefetched


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def counted(made: list[int], total: int = 100) -> Iterator[int]:
    for n in range(total):
        made.append(n)
        yield n


@pytest.mark.parametrize(("total", "ahead"), [(0, 2), (1, 2), (5, 1), (5, 2), (5, 9)])
def test_the_same_items_in_the_same_order(total: int, ahead: int) -> None:
    assert list(prefetched(counted([], total), ahead)) == list(range(total))
    assert not threads()


def test_items_are_made_beforehand_but_not_too_many() -> None:
    made: list[int] = []
    with closing(prefetched(counted(made), ahead=3)) as items:
        for n in range(5):
            assert next(items) == n
            wanted = n + 4  # this one and three more
            until = time.monotonic() + 10
            while len(made) < wanted and time.monotonic() < until:
                time.sleep(0.001)
            time.sleep(0.01)
            assert len(made) == wanted
    assert not threads()


def test_they_are_made_in_one_other_thread() -> None:
    def names() -> Iterator[str]:
        for _ in range(5):
            yield threading.current_thread().name

    [name] = set(prefetched(names()))
    assert name.startswith("prefetch")


def test_an_error_comes_where_its_item_would_have_come() -> None:
    def broken() -> Iterator[int]:
        yield from (0, 1, 2)
        raise ValueError("odd")

    items = prefetched(broken(), ahead=5)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="odd"):
        next(items)
    assert not threads()


def test_no_thread_is_left_behind_by_who_gives_up() -> None:
    with pytest.raises(KeyError), closing(prefetched(counted([]))) as items:
        for n in items:
            assert len(threads()) == 1
            if n == 2:
                raise KeyError
    assert not threads()
