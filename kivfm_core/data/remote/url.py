"""URLs as paths. Torch-free.

So all code that names, joins, sorts or shows paths of images works for URLs, too. Only code that
reads bytes distinguishes the two.
"""

from __future__ import annotations

import re
from pathlib import Path, PosixPath
from typing import Self

from kivfm_core.errors import UsageError, printable

# The package that reads each kind of URL; none for what fsspec reads itself.
PROTOCOLS = {
    "s3": "s3fs",
    "gs": "gcsfs",
    "hf": "huggingface_hub",
    "http": "aiohttp",
    "https": "aiohttp",
    "memory": "",
}
# A path has one slash where a URL has two.
_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*):/(?!/)")


class Url(PosixPath):
    """A folder, tar or image at a URL: a path that is no file of this computer.

    Its parts, suffix and parents are those of a path; methods that look at a disk find nothing.
    """

    def __str__(self) -> str:
        return _SCHEME.sub(r"\1://", super().__str__())

    @property
    def protocol(self) -> str:
        """What comes before the colon."""
        return self.parts[0].removesuffix(":")

    def absolute(self) -> Self:
        """Itself: it is the same from everywhere."""
        return self


def is_url(text: str | Path) -> bool:
    """Whether a place is given by a URL."""
    return isinstance(text, Url) or "://" in str(text)


def locate(text: str | Path) -> Path:
    """The path of a folder or file here, or a `Url`.

    Args:
        text: As a user gives it.

    Raises:
        UsageError: If it is a URL of a kind that is not read, or one that holds a secret.
    """
    return Url(check_url(str(text))) if is_url(text) else Path(text)


def check_url(text: str) -> str:
    """The same text, if it is no URL, or one that can be read and shown.

    Whatever is given is stored in runs and shown in messages, so it must hold no secret.

    Raises:
        UsageError: If it is a URL of a kind that is not read, or one that may hold a secret.
    """
    if not is_url(text):
        return text
    protocol, _, rest = text.partition("://")
    if protocol not in PROTOCOLS:
        known = ", ".join(f"{name}://" for name in PROTOCOLS)
        raise UsageError(
            f"data at {printable(protocol)}:// are not read",
            f"one of: {known}, with pip install 'kivfm[urls]'; or a folder on this computer",
        )
    # The message does not quote the URL, which may hold a secret.
    if "@" in rest.partition("/")[0] or "?" in rest:
        raise UsageError(
            f"a {protocol}:// URL with a name or password before @, or a part after ?, may hold a"
            " secret, which a run would store",
            "give keys by the environment or the library's own files; in docs: data-at-urls",
        )
    return text


def refuse_url(text: str | Path, what: str, hint: str) -> None:
    """Refuses a URL where only this computer's disks are used.

    Args:
        text: As a user gives it; or the path that was made of it, which has lost a slash.
        what: What is to be on a disk.
        hint: What to do.

    Raises:
        UsageError: If it is a URL.
    """
    given = _SCHEME.sub(r"\1://", str(text))
    if is_url(given):
        check_url(given)
        raise UsageError(f"{what}, not at a URL: {printable(given)}", hint)
