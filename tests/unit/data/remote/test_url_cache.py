"""Parts that are kept on a disk: whole, bounded, and of the right version."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from kivfm_core.data.remote.part import Part
from kivfm_core.data.remote.url import Url
from kivfm_core.data.remote.url_cache import UrlCache, user_cache
from kivfm_core.errors import UsageError


def part(number: int, version: int = 1) -> Part:
    return Part(Url("s3://bucket/a.tar"), number, 100, version)


def test_it_gives_back_what_it_was_given_and_nothing_else(tmp_path: Path):
    kept = UrlCache(tmp_path, 10_000)
    kept.put(part(1), b"a" * 100)
    assert kept.get(part(1)) == b"a" * 100
    assert kept.get(part(1, version=2)) is None and kept.get(part(2)) is None
    (file,) = (file for file in tmp_path.rglob("*") if file.is_file())
    file.write_bytes(b"cut off")
    assert kept.get(part(1)) is None


def test_what_was_not_read_for_the_longest_goes_first(tmp_path: Path):
    kept = UrlCache(tmp_path, 1000)
    for number in range(10):
        kept.put(part(number), bytes(100))
        os.utime(kept._file(part(number)), (number, number))
    assert kept.get(part(0)) is not None  # read just now
    another = UrlCache(tmp_path, 1000)  # knows what others have kept
    another.put(part(10), bytes(100))
    there = [number for number in range(11) if another.get(part(number)) is not None]
    assert there == [0, 3, 4, 5, 6, 7, 8, 9, 10] and another.used == 900


def test_what_has_no_version_or_no_room_is_not_kept(tmp_path: Path):
    UrlCache(tmp_path, 1000).put(part(1, version=0), bytes(100))
    UrlCache(tmp_path, 99).put(part(1), bytes(100))
    UrlCache(tmp_path, 0).put(part(1), bytes(100))
    assert not list(tmp_path.iterdir()) and UrlCache(tmp_path, 0).get(part(1)) is None


def test_the_environment_sets_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache().limit == 10 * 2**30
    monkeypatch.setenv("KIVFM_URL_CACHE", "0.5")
    assert user_cache().limit == 2**29
    monkeypatch.setenv("KIVFM_URL_CACHE", "much")
    with pytest.raises(UsageError, match="KIVFM_URL_CACHE=much"):
        user_cache()


def test_a_disk_that_cannot_be_written_to_is_no_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    kept = UrlCache(tmp_path / "file", 1000)
    kept.put(part(1), bytes(100))
    assert kept.get(part(1)) is None


def test_a_disk_that_is_full_keeps_no_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(path: Path, content: bytes) -> None:
        path.write_bytes(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("kivfm_core.files._write_new", full)
    kept = UrlCache(tmp_path, 1000)
    kept.put(part(1), bytes(100))
    assert kept.get(part(1)) is None and not [f for f in tmp_path.rglob("*") if f.is_file()]
