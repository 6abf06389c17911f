"""Compiling what a run computes again and again.

In place, so that names of parameters, and with them checkpoints, stay what they are. The frozen
trunk is left out: it is read through hooks, which a compiled module does not see.
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
    """Compiles something small: without this, the first step would fail, and not as clearly."""
    try:
        torch.compile(torch.square, backend=BACKEND)(torch.ones(8, device=device))
    except Exception as error:  # of several kinds: no compiler, no Triton, no headers
        cause = " ".join(str(error).partition("\n\n")[0].split())
        raise KivfmError(
            f"torch.compile does not work here: {cause}",
            "go without: --set engine.compile=off",
        ) from error
