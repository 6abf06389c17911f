"""Objects at URLs: listing, sizes, and ranges of bytes, tried again when a request fails.

Torch-free. fsspec and the library of a protocol are imported when the first URL is read.
"""

from __future__ import annotations

import errno
import hashlib
import io
import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from kivfm_core.data.remote.url import PROTOCOLS, Url
from kivfm_core.errors import KivfmError, printable
from kivfm_core.weights.hub import offline

# Seconds before a failed request is made again.
PAUSES = (0.2, 0.5, 1.5, 4.0)
# Nothing larger is read as an image: this many bytes are taken into memory at most.
LARGEST = 2**29
# Bytes that are read at once where a tar is read through.
BLOCK = 2**20
# Where stores say which version of an object they have; the first that is there counts.
_VERSIONS = (
    "ETag", "etag", "blob_id", "md5Hash", "Last-Modified", "LastModified", "mtime", "created",
)  # fmt: skip
# HTTP's words for: ask again later.
_LATER = (408, 425, 429)

_T = TypeVar("_T")


class Object(NamedTuple):
    """What is known of an object without reading it.

    Attributes:
        size: Bytes; None if the server does not say.
        version: A number that changes with its content; 0 if the store does not tell.
    """

    size: int | None
    version: int


def list_objects(url: Url) -> dict[str, Object]:
    """All objects below a URL, by their paths below it, with forward slashes; sorted.

    Raises:
        OSError: If the store does not answer.
        KivfmError: If the library for this protocol is not installed.
    """
    system = _system(url)
    root = system._strip_protocol(str(url)).strip("/") + "/"
    found: dict[str, Any] = _patiently(lambda: system.find(str(url), detail=True))
    below: dict[str, Object] = {}
    for name, info in sorted(found.items()):
        inside = name.lstrip("/")
        if inside.startswith(root) and len(inside) > len(root):
            below[inside[len(root) :]] = _describe(info)
    return below


def look_at(url: Url) -> Object:
    """Size and version of an object.

    Raises:
        FileNotFoundError: If there is none.
        OSError: If the store does not answer.
        KivfmError: If the library for this protocol is not installed.
    """
    system = _system(url)
    return _describe(_patiently(lambda: system.info(str(url))))


def read_object(url: Url, start: int = 0, size: int | None = None) -> bytes:
    """Bytes of an object.

    Args:
        url: The object.
        start: First byte.
        size: How many; all by default.

    Raises:
        FileNotFoundError: If there is no such object.
        OSError: If it cannot be read, also when tried again, or has too many bytes for an image.
        KivfmError: If the library for this protocol is not installed.
    """
    if size == 0:
        return b""
    if size is not None and size > LARGEST:
        raise OSError(errno.EFBIG, f"{size} bytes are too many for an image")
    system = _system(url)
    end = start + (size or LARGEST)

    def work() -> bytes:
        content: bytes = system.cat_file(str(url), start=start, end=end)
        if size is not None and len(content) > size:
            raise ValueError("the server gives whole files only, and no ranges of bytes")
        if size is not None and len(content) < size:
            raise OSError(errno.EIO, f"the server gave {len(content)} bytes of {size}")
        return content

    content = _patiently(work)
    if size is None and len(content) >= LARGEST:
        raise OSError(errno.EFBIG, f"more than {LARGEST} bytes are too many for an image")
    return content


def open_object(url: Url, size: int) -> io.BufferedReader:
    """An object as a file to be read; each request reads a block.

    Args:
        url: The object.
        size: Its bytes.
    """
    return io.BufferedReader(_Reader(url, size), BLOCK)


class _Reader(io.RawIOBase):
    """An object as a file without a buffer."""

    def __init__(self, url: Url, size: int) -> None:
        self.url, self.size, self.at = url, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence]
        self.at = max(0, base + offset)
        return self.at

    def readinto(self, buffer: Any) -> int:
        count = max(0, min(len(buffer), self.size - self.at))
        buffer[:count] = read_object(self.url, self.at, count)
        self.at += count
        return count


def _system(url: Url) -> Any:
    """What reads this protocol. fsspec keeps one for each process, after a fork, too."""
    if url.protocol != "memory" and offline():
        raise KivfmError(
            f"KIVFM_OFFLINE=1 forbids reading {printable(url)}",
            "unset KIVFM_OFFLINE; or images on a disk",
        )
    # Imported when a URL is read: it starts threads, and most data lie on disks.
    import fsspec

    try:
        return fsspec.filesystem(url.protocol, use_listings_cache=False)
    except ImportError as error:
        package = PROTOCOLS[url.protocol]
        extra = package if package == "gcsfs" else "'kivfm[urls]'"
        raise KivfmError(
            f"{url.protocol}:// needs {package}, which is not installed", f"pip install {extra}"
        ) from error


def _describe(info: dict[str, Any]) -> Object:
    size = info.get("size")
    tag = next((str(info[key]) for key in _VERSIONS if info.get(key)), None)
    if tag is None:
        return Object(size, 0)
    digest = hashlib.sha256(f"{size}\0{tag}".encode(errors="surrogateescape")).digest()
    return Object(size, int.from_bytes(digest[:8], "big") >> 1 | 1)  # positive, and not 0


def _patiently(work: Callable[[], _T]) -> _T:
    """Does some work, and tries again after a pause while the failure may be temporary.

    Raises:
        OSError: With words that hold nothing but the cause.
    """
    for pause in (*PAUSES, None):
        try:
            return work()
        except MemoryError:
            raise
        except Exception as caught:  # each library has its own
            error = _uncovered(caught)
            if isinstance(error, FileNotFoundError) or _status(error) == 404:
                raise FileNotFoundError(errno.ENOENT, "there is no such object") from error
            final = _is_final(error)
            if pause is None or final:
                tries = "" if final else f" ({len(PAUSES) + 1} tries)"
                said = getattr(error, "strerror", None) or str(error) or type(error).__name__
                raise OSError(errno.EIO, f"{_shown(said)}{tries}") from error
        time.sleep(pause)
    raise AssertionError


def _uncovered(error: Exception) -> BaseException:
    """The real cause: fsspec reports an HTTP server that cannot be reached as a missing file."""
    cause = error.__cause__
    hidden = isinstance(cause, OSError) or _status(cause) is not None
    return cause if isinstance(error, FileNotFoundError) and cause and hidden else error


def _shown(said: str) -> str:
    """What a library says, on one line, without what may be a secret in a URL.

    A store may redirect to a URL with a signature, and the library's message contains that URL.
    """
    text = re.sub(r"://[^/\s@]+@", "://", " ".join(said.split()))
    return printable(re.sub(r"(://[^\s?]+)\?[^\s'\")]*", r"\1?...", text))


def _status(error: BaseException | None) -> int | None:
    """The number that an HTTP server answered with."""
    return getattr(error, "status", None)


def _is_final(error: BaseException) -> bool:
    """Whether trying again cannot help."""
    if (status := _status(error)) is not None:
        return 400 <= status < 500 and status not in _LATER
    if isinstance(error, OSError) and error.errno == errno.EINVAL:  # S3's for a range outside of it
        return True
    return isinstance(error, PermissionError | IsADirectoryError | ValueError | NotImplementedError)
