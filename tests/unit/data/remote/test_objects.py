"""Requests: what passes is tried again, and what does not is said once."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from toy_urls import at_url

from kivfm_core.data.remote import objects
from kivfm_core.data.remote.objects import list_objects, look_at, open_object, read_object
from kivfm_core.data.remote.url import Url
from kivfm_core.errors import KivfmError

OBJECT = Url("memory://toy/a.bin")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with at_url(tmp_path, monkeypatch) as found:
        found.pipe_file(str(OBJECT), bytes(range(100)))
        yield found


class Answers:
    """A store's `cat_file` that first fails in given ways."""

    def __init__(self, patch: pytest.MonkeyPatch, *errors: Exception | bytes) -> None:
        self.calls, self.errors, self.real = 0, list(errors), MemoryFileSystem.cat_file
        patch.setattr(MemoryFileSystem, "cat_file", lambda *ask, **span: self(*ask, **span))

    def __call__(self, *ask, **span):
        self.calls += 1
        if not self.errors:
            return self.real(*ask, **span)
        found = self.errors.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


def test_it_reads_ranges_and_wholes(store):
    assert read_object(OBJECT, 10, 5) == bytes(range(10, 15))
    assert read_object(OBJECT) == bytes(range(100)) and read_object(OBJECT, 5, 0) == b""


def test_what_passes_is_tried_again(store, monkeypatch):
    answers = Answers(monkeypatch, TimeoutError("slow"), b"cut")
    assert read_object(OBJECT, 10, 5) == bytes(range(10, 15)) and answers.calls == 3


def test_what_does_not_pass_is_told_with_the_number_of_tries(store, monkeypatch):
    answers = Answers(monkeypatch, *[ConnectionError("reset\x1b by peer")] * 9)
    with pytest.raises(OSError, match=r"reset.*by peer.*\(3 tries\)") as caught:
        read_object(OBJECT)
    assert answers.calls == 3 and "\x1b" not in str(caught.value)


def test_a_server_without_ranges_is_not_asked_five_times(store, monkeypatch):
    answers = Answers(monkeypatch, bytes(100))
    with pytest.raises(OSError, match="no ranges of bytes"):
        read_object(OBJECT, 10, 5)
    assert answers.calls == 1


def test_a_signature_that_a_store_leads_on_to_is_not_shown(store, monkeypatch):
    said = "403, message='Forbidden', url=URL('https://me:SECRET@cdn/x?Signature=SECRET&k=SECRET')"
    Answers(monkeypatch, PermissionError(said))
    with pytest.raises(OSError, match="Forbidden") as caught:
        read_object(OBJECT)
    assert "SECRET" not in str(caught.value) and "https://cdn/x?..." in str(caught.value)


@pytest.mark.parametrize("error", [PermissionError("Forbidden"), FileNotFoundError("x")])
def test_what_cannot_pass_is_not_tried_again(store, monkeypatch, error):
    answers = Answers(monkeypatch, error)
    with pytest.raises(OSError, match=r"Forbidden$|there is no such object"):
        read_object(OBJECT)
    assert answers.calls == 1


@pytest.mark.parametrize(("status", "calls"), [(403, 1), (404, 1), (429, 3), (503, 3)])
def test_a_web_server_that_is_busy_is_asked_again(store, monkeypatch, status, calls):
    error = FileNotFoundError("http://host/x")  # as fsspec says of every status
    error.__cause__ = Exception(f"status {status}")
    error.__cause__.status = status  # type: ignore[attr-defined]
    answers = Answers(monkeypatch, *[error] * 9)
    with pytest.raises(OSError, match="no such object" if status == 404 else f"status {status}"):
        read_object(OBJECT)
    assert answers.calls == calls


def test_an_object_that_is_no_image_is_not_taken_into_memory(store, monkeypatch):
    monkeypatch.setattr(objects, "LARGEST", 50)
    with pytest.raises(OSError, match="too many for an image"):
        read_object(OBJECT)
    with pytest.raises(OSError, match="too many for an image"):
        read_object(OBJECT, 0, 51)
    assert len(read_object(OBJECT, 50, 50)) == 50


def test_a_version_changes_with_the_object(store):
    before = look_at(OBJECT)
    assert look_at(OBJECT) == before and before.size == 100 and before.version > 0
    store.pipe_file(str(OBJECT), bytes(100))
    assert look_at(OBJECT) != before
    with pytest.raises(FileNotFoundError):
        look_at(Url("memory://toy/none"))


def test_objects_are_listed_by_their_paths(store):
    for name in ("b/c.png", "b.png"):
        store.pipe_file(f"memory://toy/{name}", b"x")
    store.pipe_file("memory://toy-2/d.png", b"x")
    assert list(list_objects(Url("memory://toy"))) == ["a.bin", "b.png", "b/c.png"]
    assert list(list_objects(Url("memory://toy/b"))) == ["c.png"]
    assert list_objects(Url("memory://none")) == {}


def test_an_object_is_a_file_that_is_read_in_blocks(store, monkeypatch):
    answers = Answers(monkeypatch)
    with open_object(OBJECT, 100) as file:
        assert (
            file.read(3) == b"\0\1\2"
            and file.seek(90) == 90
            and file.read() == bytes(range(90, 100))
        )
        assert file.seek(0, 2) == 100 and file.read(1) == b""
    assert answers.calls == 1


@pytest.mark.parametrize("url", ["hf://datasets/me/x", "s3://bucket/x", "http://host/x"])
def test_the_network_is_not_used_offline(monkeypatch, store, url: str):
    monkeypatch.setenv("KIVFM_OFFLINE", "1")
    with pytest.raises(KivfmError, match=f"KIVFM_OFFLINE=1 forbids reading {url}"):
        look_at(Url(url))
    assert look_at(OBJECT).size == 100  # in memory


def test_a_library_that_is_missing_is_named(monkeypatch):
    def missing(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "filesystem", missing)
    with pytest.raises(KivfmError, match="s3:// needs s3fs") as caught:
        look_at(Url("s3://bucket/x"))
    assert caught.value.hint == "pip install 'kivfm[urls]'"
