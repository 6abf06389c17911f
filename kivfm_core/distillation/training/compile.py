"""Compiles what a run computes again and again.

Modules are compiled in place, so that parameters keep their names, and checkpoints fit. The frozen
trunk is left out: it is read through hooks, which do not fire in a compiled module.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from kivfm_core.errors import KivfmError

BACKEND = "inductor"


def compile_all(modules: Iterable[nn.Module], device: torch.device) -> None:
    """Compiles modules when they are first called.

    Raises:
        KivfmError: If nothing can be compiled for the device here.
    """
    _try_out(device)
    for module in modules:
        module.compile(backend=BACKEND)


def _try_out(device: torch.device) -> None:
    """Compiles something small, to fail early and clearly: else the first step would fail."""
    try:
        torch.compile(torch.square, backend=BACKEND)(torch.ones(8, device=device))
    except Exception as error:  # of several kinds: no compiler, no Triton, no headers
        cause = " ".join(str(error).partition("\n\n")[0].split())
        raise KivfmError(
            f"torch.compile does not work here: {cause}",
            "go without: --set engine.compile=off",
        ) from error
