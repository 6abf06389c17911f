"""Where the images lie in a tar: made once, and kept in the user's cache. Torch-free."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import platformdirs
from numpy.typing import NDArray

from kivfm_core.data.images import is_image_file, printable
from kivfm_core.data.names import Names
from kivfm_core.errors import DataError
from kivfm_core.files import keep

VERSION = 1
"""Of what is listed, and of the file: raised with every change of either."""

State = tuple[int, int, int]
"""`VERSION`, and a tar's bytes and time of change in nanoseconds."""


@dataclass(frozen=True)
class TarIndex:
    """Where the images lie in a tar.

    Attributes:
        names: Of the members, sorted.
        places: First byte and number of bytes of each, `[N, 2]`.
        damage: What ended the tar before its time; empty if it is whole.
        state: The tar's, when it was read.
    """

    names: Names
    places: NDArray[np.int64]
    damage: str
    state: State


def load_index(path: Path) -> TarIndex:
    """The index of a tar: the one that is kept, if the tar has not changed since.

    Raises:
        DataError: If the tar cannot be read.
    """
    name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
    kept = platformdirs.user_cache_path("kivfm") / "tars" / f"{name}.npz"
    try:
        stat = path.stat()
        state = (VERSION, stat.st_size, stat.st_mtime_ns)
        index = _read(kept, state)
        if index is None:
            index = _scan(path, state)
            keep(kept, _pack(index))
    except OSError as error:
        raise DataError(f"cannot read {printable(path)}: {error.strerror}") from error
    return index


def _scan(path: Path, state: State) -> TarIndex:
    """Reads a tar's headers; links, sparse files and what is no image are passed over.

    Of several members of one name the last one counts, as if the tar were unpacked.
    """
    found: dict[str, tuple[int, int]] = {}
    damage = ""
    try:
        with (
            path.open("rb") as file,
            tarfile.open(fileobj=file, mode="r:", encoding="utf-8") as tar,
        ):
            while (member := tar.next()) is not None:
                # Else it keeps a kilobyte for each.
                tar.members.clear()  # pyright: ignore[reportAttributeAccessIssue]
                if not 0 <= member.size <= state[1] - member.offset_data:
                    raise tarfile.ReadError(f"{member.name} goes on behind the end")
                if member.isreg() and not member.issparse() and is_image_file(member.name):
                    name = member.name.removeprefix("./")
                    found[name] = (member.offset_data, member.size)
            # It stops without a word at any header that makes no sense.
            file.seek(tar.offset)
            if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
                raise tarfile.ReadError(f"no header and no end mark at byte {tar.offset}")
    except OSError:
        raise
    # A hostile tar can make its reader raise anything, for want of memory too.
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
    """The index in a file; None if there is none of this state."""
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as kept:
            if tuple(kept["state"].tolist()) != state:
                return None
            names = Names(kept["block"].tobytes(), kept["ends"])
            return TarIndex(names, kept["places"], str(kept["damage"]), state)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
