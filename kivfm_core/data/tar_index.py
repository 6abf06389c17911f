"""The index of a tar: where its images lie. Made once, and cached. Torch-free."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast
from zipfile import BadZipFile

import numpy as np
import platformdirs
from numpy.typing import NDArray

from kivfm_core.data.images import is_image_file
from kivfm_core.data.names import Names
from kivfm_core.data.remote.objects import look_at, open_object
from kivfm_core.data.remote.part import Part
from kivfm_core.data.remote.url import Url
from kivfm_core.errors import DataError, printable
from kivfm_core.files import keep

# Version of the rules for what is listed, and of the cache file: raised with every change.
VERSION = 1

# `VERSION`, the tar's size in bytes, and its time of change in nanoseconds or an object's version.
State = tuple[int, int, int]


@dataclass(frozen=True)
class TarIndex:
    """Where the images lie in a tar.

    Attributes:
        names: Names of the members, sorted.
        places: First byte and number of bytes of each member, `[N, 2]`.
        damage: What stopped reading before the end; empty if the tar is whole.
        state: State of the tar when it was read.
    """

    names: Names
    places: NDArray[np.int64]
    damage: str
    state: State

    def part(self, tar: Path, place: int) -> Part:
        """Where the bytes of a member are.

        Args:
            tar: The tar.
            place: Of the member among the names.
        """
        start, size = self.places[place].tolist()
        return Part(tar, start, size, self.state[2] if isinstance(tar, Url) else 0)


def load_index(path: Path) -> TarIndex:
    """The index of a tar: the cached one, if the tar has not changed since.

    Raises:
        DataError: If the tar cannot be read.
    """
    name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
    cached = platformdirs.user_cache_path("kivfm") / "tars" / f"{name}.npz"
    try:
        state = _look_at(path)
        index = _read(cached, state)
        if index is None:
            with _open(path, state) as file:
                index = _scan(file, state)
            keep(cached, _pack(index))
    except OSError as error:
        raise DataError(f"cannot read {printable(path)}: {error.strerror}") from error
    return index


def _look_at(path: Path) -> State:
    if isinstance(path, Url):
        found = look_at(path)
        if found.size is None:
            raise OSError(errno.EIO, "the server does not say how large it is")
        return VERSION, found.size, found.version
    stat = path.stat()
    return VERSION, stat.st_size, stat.st_mtime_ns


def _open(path: Path, state: State) -> BinaryIO:
    if isinstance(path, Url):
        return cast("BinaryIO", open_object(path, state[1]))
    return path.open("rb")


def _scan(file: BinaryIO, state: State) -> TarIndex:
    """Reads a tar's headers; links, sparse files and other files than images are skipped.

    If several members have one name, the last one counts, as it would if the tar were unpacked.
    """
    found: dict[str, tuple[int, int]] = {}
    damage = ""
    try:
        with tarfile.open(fileobj=file, mode="r:", encoding="utf-8") as tar:
            while (member := tar.next()) is not None:
                # tarfile would otherwise hold a kilobyte of memory for each member.
                tar.members.clear()  # pyright: ignore[reportAttributeAccessIssue]
                if not 0 <= member.size <= state[1] - member.offset_data:
                    raise tarfile.ReadError(f"{member.name} ends after the end of the file")
                if member.isreg() and not member.issparse() and is_image_file(member.name):
                    name = member.name.removeprefix("./")
                    found[name] = (member.offset_data, member.size)
            # tarfile stops silently at an invalid header. A whole tar ends with a block of zeros.
            file.seek(tar.offset)
            if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
                raise tarfile.ReadError(f"no header and no end mark at byte {tar.offset}")
    except OSError:
        raise
    # A malicious tar can make its reader raise anything, MemoryError included.
    except Exception as error:
        damage = printable(str(error)) or type(error).__name__
    names = sorted(found)
    places = np.array([found[name] for name in names], np.int64).reshape(-1, 2)
    return TarIndex(Names.pack(names), places, damage, state)


def _pack(index: TarIndex) -> bytes:
    file = io.BytesIO()
    np.savez(
        file,
        block=np.frombuffer(index.names.block, np.uint8),
        ends=index.names.ends,
        places=index.places,
        damage=np.array(index.damage),
        state=np.array(index.state),
    )
    return file.getvalue()


def _read(file: Path, state: State) -> TarIndex | None:
    """The index in a cache file; None if the file has none, or one of another state."""
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
            if tuple(arrays["state"].tolist()) != state:
                return None
            names = Names(arrays["block"].tobytes(), arrays["ends"])
            return TarIndex(names, arrays["places"], str(arrays["damage"]), state)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
