"""How numbers and tables are written for people."""

import pytest

from kivfm_core.text import count, duration, percent, size, table_lines


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *((None, "size unknown"), (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB")),
        *((192000, "188 KiB"), (2**20 - 1, "1023 KiB"), (3 * 2**29, "1.5 GiB")),
    ],
)
def test_sizes_are_binary(number, text):
    assert size(number) == text


def test_numbers():
    assert [count(n) for n in (12, 1500, 86_600_000)] == ["12", "1.5 k", "86.6 M"]
    assert [percent(x) for x in (None, -1e-9, 0.5)] == ["-", "0.0 %", "50.0 %"]
    assert [duration(s) for s in (90, 120, 7200)] == ["90 s", "2 min", "2 h"]


def test_a_table_is_aligned():
    assert table_lines(("a", "bc"), [("long", "x")]) == ["a     bc", "long  x"]
