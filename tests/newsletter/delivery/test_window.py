"""The window never hands out what the database does not know of, and loses nothing that comes back."""

from __future__ import annotations

import random
import threading

from newsletter.delivery.fates import Fate
from newsletter.delivery.window import Window


def test_nothing_at_or_above_the_limit_is_handed_out() -> None:
    window = Window(10)
    window.open_up_to(3)
    assert [window.take(wait=False) for _ in range(4)] == [0, 1, 2, None]
    window.open_up_to(4)
    assert window.take(wait=False) == 3


def test_the_position_waits_for_the_slowest() -> None:
    window = Window(3)
    window.open_up_to(3)
    for _ in range(3):
        window.take(wait=False)
    window.settle(2, Fate.ACCEPTED, "")
    window.settle(1, Fate.REFUSED, "no")
    assert window.settled_since() == (0, {})
    window.settle(0, Fate.ACCEPTED, "")
    position, fates = window.settled_since()
    assert position == 3
    assert fates[1] == (Fate.REFUSED, "no")


def test_an_unsent_message_is_handed_out_again_and_first() -> None:
    window = Window(3)
    window.open_up_to(3)
    assert window.take(wait=False) == 0
    window.settle(0, Fate.UNSENT, "connection lost")
    assert window.take(wait=False) == 0


def test_what_is_settled_beyond_a_gap_is_left_over_for_a_record_of_its_own() -> None:
    window = Window(3)
    window.open_up_to(3)
    for _ in range(3):
        window.take(wait=False)
    window.settle(0, Fate.ACCEPTED, "")
    window.settle(1, Fate.UNSENT, "")
    window.settle(2, Fate.ACCEPTED, "250")
    assert window.settled_since()[0] == 1
    assert list(window.leftovers()) == [(2, Fate.ACCEPTED, "250")]


def test_many_connections_settle_every_index_once_and_stay_below_the_limit() -> None:
    count, size = 2000, 40
    window = Window(count)
    limit = [0]
    taken: list[int] = []
    beyond: list[int] = []

    def connection(seed: int) -> None:
        chance = random.Random(seed)
        index = window.take(wait=True)
        while index is not None:
            if index >= limit[0]:
                beyond.append(index)
            if chance.random() < 0.05:
                window.settle(index, Fate.UNSENT, "")
            else:
                taken.append(index)
                window.settle(index, Fate.ACCEPTED, "")
            index = window.take(wait=True)
        window.leave()

    for _ in range(4):
        window.join()
    threads = [threading.Thread(target=connection, args=(seed,)) for seed in range(4)]
    limit[0] = size
    window.open_up_to(size, wake_every=size // 2)
    for thread in threads:
        thread.start()
    while window.wait(5):
        position, _ = window.settled_since()
        limit[0] = min(position + size, count)
        window.open_up_to(position + size, wake_every=size // 2)
    for thread in threads:
        thread.join(5)
    assert sorted(taken) == list(range(count))
    assert beyond == []


def test_closing_lets_waiting_connections_go() -> None:
    window = Window(5)
    window.join()
    thread = threading.Thread(target=lambda: (window.take(wait=True), window.leave()))
    thread.start()
    window.close()
    thread.join(5)
    assert not thread.is_alive()
    assert window.wait(0) is False
