"""Work done ahead keeps its order, holds little, and ends with those who use it."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Generator

import pytest

from kivfm_core.data.ahead import ahead, in_order


def test_results_come_in_order_and_few_are_held() -> None:
    running, most, made = 0, 0, 0
    lock = threading.Lock()

    def work(number: int) -> int:
        nonlocal running, most, made
        with lock:
            running, made = running + 1, made + 1
            most = max(most, running)
        time.sleep(0.002 * (number % 3))
        with lock:
            running -= 1
        return number

    results = in_order(work, range(40), 3)
    assert next(results) == 0
    time.sleep(0.1)
    assert made <= 7  # one was taken, two a worker wait
    assert [0, *results] == list(range(40))
    assert 1 < most <= 3


def test_the_next_item_is_made_while_the_last_is_used() -> None:
    made: list[int] = []

    def items() -> Generator[int]:
        for number in range(5):
            made.append(number)
            yield number

    taken = ahead(items())
    assert next(taken) == 0
    time.sleep(0.1)
    assert made == [0, 1]
    assert [*taken] == [1, 2, 3, 4]


def test_an_error_reaches_who_takes_the_item() -> None:
    def items() -> Generator[int]:
        yield 1
        raise ValueError("no")

    taken = ahead(items())
    assert next(taken) == 1
    with pytest.raises(ValueError, match="no"):
        next(taken)


def test_what_is_left_early_ends() -> None:
    closed, before = threading.Event(), threading.active_count()

    def items() -> Generator[int]:
        try:
            yield from in_order(abs, iter(range(10**9)), 2)
        finally:
            closed.set()

    for number in ahead(items()):
        if number == 3:
            break
    gc.collect()
    assert closed.wait(5)
    assert threading.active_count() == before
