"""What a kind of file has to do to hold features. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
Manifest = dict[str, Any]

# Names of what a file holds beside the maps, and of the manifest in it.
FILE, VECTOR, MANIFEST = "file", "vector", "kivfm"


class Writer(Protocol):
    """Writes rows as they come, and holds few of them."""

    def write(self, names: Sequence[str], arrays: Arrays) -> None:
        """Adds rows.

        Args:
            names: The images' paths.
            arrays: `vector [n, D]` and maps `[n, C, h, w]`, float32; of one shape in all calls.
        """
        ...

    def finish(self, manifest: Manifest) -> None:
        """Writes what is left, and what made it all."""
        ...

    def close(self) -> None:
        """Lets go of what it holds, finished or not."""
        ...


@dataclass(frozen=True)
class Content:
    """What is read back from a file for a search.

    Attributes:
        names: The images' paths.
        vectors: `[N, D]`, float32.
        manifest: What made them.
    """

    names: Sequence[str]
    vectors: NDArray[Any]
    manifest: Manifest


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    Attributes:
        writer: Makes a writer into a file that is open and empty; what has to wait until the end
            waits in the folder.
        read: Reads names and vectors from such a file, which may be a stranger's; raises anything
            if it is none.
    """

    writer: Callable[[BinaryIO, Path], Writer]
    read: Callable[[BinaryIO], Content]
