"""A cache of parts of objects on this disk, so that a second epoch need not fetch them.

Torch-free.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from threading import Lock

import platformdirs

from kivfm_core.data.remote.part import Part
from kivfm_core.errors import UsageError
from kivfm_core.files import keep

# Names the setting of the limit.
LIMIT = "KIVFM_URL_CACHE"
# GiB, if it is not set.
DEFAULT = 10.0
# At the limit, the parts that were not read for the longest are removed, down to this share of it.
_LEFT = 0.9


class UrlCache:
    """A cache folder of parts, which several processes may share.

    Each process counts only what it adds itself. So the folder can exceed the limit by what other
    processes have added since this one last counted it.

    Args:
        folder: Where they are.
        limit: Bytes that the folder may take.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self.used: int | None = None
        self.lock = Lock()

    def get(self, part: Part) -> bytes | None:
        """The bytes of a part; None if it is not here."""
        if not part.version or not self.limit:
            return None
        file = self._file(part)
        try:
            content = file.read_bytes()
        except OSError:
            return None
        if part.size is not None and len(content) != part.size:
            return None  # not what was written
        with suppress(OSError):
            os.utime(file)  # when it was last read
        return content

    def put(self, part: Part, content: bytes) -> None:
        """Keeps a part, unless its object has no version; a disk that is full is no error."""
        if not part.version or len(content) > self.limit:
            return
        keep(self._file(part), content)
        with self.lock:  # threads put parts, and one is to count
            self.used = self._prune(0) if self.used is None else self.used + len(content)
            if self.used > self.limit:
                self.used = self._prune(self.limit)

    def _file(self, part: Part) -> Path:
        name = hashlib.sha256("\0".join(map(str, part)).encode(errors="surrogateescape"))
        return self.folder / name.hexdigest()[:2] / name.hexdigest()[2:34]

    def _prune(self, limit: int) -> int:
        """Removes the longest unread if a limit is given; returns the bytes that are left."""
        files: list[tuple[float, int, str]] = []
        for place, _, names in os.walk(self.folder):
            for name in names:
                with suppress(OSError):  # another process removes files, too
                    stat = os.stat(f"{place}/{name}")
                    files.append((stat.st_mtime, stat.st_size, f"{place}/{name}"))
        used = sum(size for _, size, _ in files)
        for _, size, file in sorted(files):
            if not limit or used <= _LEFT * limit:
                break
            with suppress(OSError):
                os.remove(file)
            used -= size
        return used


def user_cache() -> UrlCache:
    """The parts that are kept for this user, as many as the environment allows.

    Raises:
        UsageError: If the environment's limit is no number.
    """
    text = os.environ.get(LIMIT, str(DEFAULT))
    try:
        limit = max(0, int(float(text) * 2**30))
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{LIMIT}={text} is no number of GiB", f"{LIMIT}={DEFAULT:g}") from error
    return UrlCache(platformdirs.user_cache_path("kivfm") / "urls", limit)
