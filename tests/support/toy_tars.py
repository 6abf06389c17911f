"""Small tars, honest and hostile."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from PIL import Image


def picture(color: int = 0, side: int = 4) -> bytes:
    """A gray picture, as PNG."""
    file = io.BytesIO()
    Image.new("L", (side, side), color).save(file, "PNG")
    return file.getvalue()


def member(name: str, content: bytes = b"", form: int = tarfile.PAX_FORMAT, **more) -> bytes:
    """One member, header and all; `more` are fields of its `TarInfo`."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in more.items():
        setattr(info, key, value)
    padding = -len(content) % tarfile.BLOCKSIZE
    return info.tobuf(form, "utf-8", "surrogateescape") + content + bytes(padding)


def write_tar(path: Path, members: Iterable[bytes]) -> Path:
    """Writes members and the end mark."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(members) + bytes(2 * tarfile.BLOCKSIZE))
    return path


def tar_folder(folder: Path, path: Path) -> Path:
    """Writes all of a folder's files as a tar, as `tar -C folder -cf path .` does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        tar.add(folder, ".")
    return path
