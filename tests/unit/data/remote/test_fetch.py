"""What is fetched ahead: each part once, at the same time, in the order in which it is read."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Lock

import pytest

from kivfm_core.data.remote import fetch
from kivfm_core.data.remote.fetch import Fetcher, fetched_ahead, fetcher
from kivfm_core.data.remote.part import Part
from kivfm_core.data.remote.url import Url
from kivfm_core.data.remote.url_cache import UrlCache


def part(number: int) -> Part:
    return Part(Url("s3://bucket/a.tar"), number, 4, 1)


class Store:
    """Answers each request after 20 ms, and counts them."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.now, self.most, self.lock = 0, 0, Lock()

    def read(self, url: Url, start: int, size: int | None) -> bytes:
        with self.lock:
            self.asked.append(start)
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.02)
        with self.lock:
            self.now -= 1
        if start == 13:
            raise OSError("lost")
        return start.to_bytes(4, "big")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    made = Store()
    monkeypatch.setattr(fetch, "read_object", made.read)
    fetcher.cache_clear()
    return made


@pytest.fixture
def none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("KIVFM_URL_CACHE", "0")


def test_waiting_is_shared(store: Store, none: None):
    began = time.perf_counter()
    for number in fetched_ahead(range(64), lambda number: [part(number)]):
        if number != 13:
            assert fetcher().read(part(number)) == number.to_bytes(4, "big")
        else:
            with pytest.raises(OSError, match="lost"):
                fetcher().read(part(number))
    assert time.perf_counter() - began < 64 * 0.02 / 2
    assert sorted(store.asked) == list(range(64)) and store.most > 4
    assert not fetcher().coming


def test_what_is_not_read_does_not_pile_up(store: Store, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(fetch, "_WAITING", 8)
    fetches = Fetcher(UrlCache(tmp_path, 0))
    fetches.ahead(part(number) for number in range(20, 50))
    assert [found.start for found in fetches.coming] == list(range(42, 50))
    assert fetches.read(part(20)) == (20).to_bytes(4, "big")
    fetches.pool.shutdown()  # or the next test's store hears of the rest


def test_what_is_kept_is_not_fetched_again(store: Store, tmp_path: Path):
    for _ in range(2):
        fetches = Fetcher(UrlCache(tmp_path, 1000))
        fetches.ahead([part(1)])
        assert fetches.read(part(1)) == fetches.read(part(1)) == (1).to_bytes(4, "big")
    assert store.asked == [1]


def test_files_here_are_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fetch, "fetcher", None)
    assert list(fetched_ahead("abc", lambda name: [Part(Path(name))])) == ["a", "b", "c"]
