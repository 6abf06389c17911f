"""How much memory a call takes at its highest, beyond what the process held before. Linux only."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import CDLL
from pathlib import Path

_SELF = Path("/proc/self")


def peak(call: Callable[[], object]) -> int | None:
    """Runs a call; bytes at its highest, beyond what was held before; None where nobody counts."""
    try:
        CDLL(None).malloc_trim(0)  # what others freed is not there to be used again
        (_SELF / "clear_refs").write_text("5")  # the peak begins anew
    except (OSError, AttributeError):
        call()
        return None
    before = _bytes("VmRSS")
    call()
    return max(0, _bytes("VmHWM") - before)


def _bytes(field: str) -> int:
    lines = (_SELF / "status").read_text().splitlines()
    (found,) = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return 1024 * int(found)
