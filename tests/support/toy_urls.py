"""Images in memory, as if at a URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fsspec.implementations.memory import MemoryFileSystem
from pytest import MonkeyPatch

from kivfm_core.data.remote.fetch import fetcher

ROOT = "memory://toy"


@contextmanager
def at_url(home: Path, patch: MonkeyPatch) -> Iterator[MemoryFileSystem]:
    """An empty store, and a user's cache of its own in a folder."""
    patch.setenv("XDG_CACHE_HOME", str(home))
    patch.setattr("kivfm_core.data.remote.objects.PAUSES", (0.0, 0.0))
    fetcher.cache_clear()
    store = MemoryFileSystem()
    yield store
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    fetcher.cache_clear()


def upload(store: MemoryFileSystem, folder: Path, to: str = ROOT) -> str:
    """Puts a folder's files at a URL."""
    for file in folder.rglob("*"):
        if file.is_file():
            store.pipe_file(f"{to}/{file.relative_to(folder).as_posix()}", file.read_bytes())
    return to
