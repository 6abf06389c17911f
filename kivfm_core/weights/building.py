"""Building from a stored plan: no more memory than its files justify, and one kind of error."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, cast

from torch.utils._python_dispatch import TorchDispatchMode

from kivfm_core.errors import KivfmError, UsageError, WeightsError, one_line, printable

# Buffers that are not stored, and weights stored in fewer bytes than they are loaded in, make a
# network larger than its file. No network of ours is larger than this.
FACTOR = 8
SPARE = 2**28


@contextmanager
def building(described: Path, *weights: Path, copied: int = 0) -> Generator[None]:
    """Networks that are built within may take as much memory as their weights files justify.

    Args:
        described: The file that says what to build.
        weights: The files with what they will hold.
        copied: Bytes of networks in memory that are built once more.

    Raises:
        WeightsError: If there is no such weights file, or a pipe.
        UsageError: If they would be larger, or cannot be built as described.
    """
    for file in weights:
        if not file.is_file():
            raise WeightsError(f"no weights file {printable(file)}: a pipe is none")
    allowed = SPARE + FACTOR * (copied + sum(file.stat().st_size for file in weights))
    names = ", ".join(printable(file.name) for file in weights)
    try:
        with _Limited(allowed // 4, f"{printable(described)} and {names}"):
            yield
    except KivfmError:
        raise
    except Exception as error:  # whatever a network's code raises of numbers that it cannot take
        raise UsageError(
            f"{printable(described)} describes networks that cannot be built: {one_line(error)}",
            "open it with the plugin versions that made it",
        ) from error


class _Limited(TorchDispatchMode):
    """Counts the numbers of new tensors before there is memory for them."""

    def __init__(self, left: int, what: str) -> None:
        super().__init__()
        self.left, self.what = left, what

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.left -= _numbers(func, args)
        if self.left < 0:
            raise UsageError(
                f"{self.what} do not agree: the networks would be far larger than their weights",
                "fetch the student again, where you trust it",
            )
        return func(*args, **(kwargs or {}))


# By the name of an operation that makes a tensor of this size, where its size stands.
_SIZED = {"empty", "empty_strided", "zeros", "ones", "full", "rand", "randn", "randint", "randperm"}
_COUNTED = {"arange", "linspace", "logspace", "eye"}


def _numbers(func: Any, args: tuple[Any, ...]) -> int:
    """The numbers of the tensor that an operation is about to make from nothing."""
    name = func.overloadpacket.__name__
    if name in _SIZED:
        size = next((cast(list[int], a) for a in args if isinstance(a, list)), [])
        return prod(size)
    if name in _COUNTED:
        counts = [a for a in args if isinstance(a, int) and not isinstance(a, bool)]
        return max(counts, default=0) ** (2 if name == "eye" else 1)
    if name == "repeat":
        return args[0].numel() * prod(args[1])
    return 0
