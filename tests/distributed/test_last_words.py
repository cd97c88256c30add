"""An error that ends several ranks is shown by the first of them; one that is a rank's own, by that rank."""

from datetime import timedelta

import pytest
from torch._C._distributed_c10d import HashStore

from lbkd.distributed import hosts
from lbkd.distributed.hosts import told_by_another

SHARED, OWN, LOST = "no such file", "no such file on host 3", ""


@pytest.mark.parametrize(
    ("rank", "words", "told"),
    [
        (0, [SHARED, SHARED, SHARED], False),
        (1, [SHARED, SHARED, SHARED], True),
        (2, [SHARED, OWN, OWN], True),
        (1, [SHARED, OWN, SHARED], False),
        (2, [SHARED, None, SHARED], True),  # rank 1 goes on
        (0, [LOST, OWN, LOST], True),  # rank 1 tells why the others ended
        (1, [LOST, OWN, LOST], False),
        (0, [LOST, None, LOST], False),  # rank 1 was killed
        (2, [LOST, None, LOST], True),
    ],
)
def test_who_tells(monkeypatch: pytest.MonkeyPatch, rank: int, words: list[str | None], told: bool) -> None:
    store = HashStore()
    for other, message in enumerate(words):
        if message is not None and other != rank:
            store.set(f"last words of rank {other}", message)
    monkeypatch.setattr(hosts, "_store", store)
    monkeypatch.setattr(hosts, "_LAST_WORDS", timedelta(milliseconds=50))
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", str(len(words)))
    message = words[rank]
    assert message is not None
    assert told_by_another(message) == told


def test_a_single_process_tells() -> None:
    assert not told_by_another(SHARED)
