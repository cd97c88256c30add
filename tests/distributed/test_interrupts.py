import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from lbkd.distributed.interrupts import Interrupts


class Stopped(BaseException):
    """What the former handler raises."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """SIGINT and SIGTERM raise; SIGHUP is ignored, as under nohup."""

    def stop(*_: Any) -> None:
        raise Stopped

    former = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: stop, signal.SIGHUP: signal.SIG_IGN}
    before = {number: signal.signal(number, handler) for number, handler in former.items()}
    yield
    after = {number: signal.signal(number, handler) for number, handler in before.items()}
    assert after == former


def test_the_first_is_held_back_until_the_end() -> None:
    done = False
    with pytest.raises(Stopped), Interrupts() as interrupts:
        assert interrupts.came == 0
        signal.raise_signal(signal.SIGTERM)
        done = interrupts.came == signal.SIGTERM
    assert done


def test_the_same_again_takes_effect_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), Interrupts():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("went on")


def test_what_a_launcher_sends_after_it_is_the_same_interrupt() -> None:
    done = False
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        done = interrupts.came == signal.SIGINT
    assert done


def test_one_asks_for_a_checkpoint_and_ends_nothing() -> None:
    with Interrupts() as interrupts:
        assert not interrupts.save
        signal.raise_signal(signal.SIGUSR1)
        assert interrupts.save
        assert interrupts.came == 0


def test_an_ignored_one_stays_ignored() -> None:
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGHUP)
        assert interrupts.came == 0


def test_one_that_came_elsewhere_is_obeyed() -> None:
    with pytest.raises(Stopped), Interrupts() as interrupts:
        interrupts.obey(signal.SIGTERM)
        pytest.fail("went on")


def test_the_block_can_be_entered_again() -> None:
    interrupts = Interrupts()
    for _ in range(2):
        with pytest.raises(Stopped), interrupts:
            signal.raise_signal(signal.SIGTERM)
    with interrupts:
        assert interrupts.came == 0


def test_another_thread_gets_no_signals_and_holds_none_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    found = []

    def enter() -> None:
        with Interrupts():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [before]
