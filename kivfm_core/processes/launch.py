"""Starting processes by Lightning Fabric, torchrun or SLURM, and ending them together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from kivfm_core.errors import KivfmError, UsageError
from kivfm_core.processes.interrupt import Interrupted
from kivfm_core.processes.lost import Watch


def make_fabric(instead: str, **settings: Any) -> Fabric:
    """A `Fabric`, not launched yet.

    Args:
        instead: Flags that work on any machine, for the hint.
        settings: Its arguments.

    Raises:
        UsageError: If there are no such devices.
    """
    try:
        return Fabric(**settings)
    except (ValueError, RuntimeError, ImportError) as error:
        raise UsageError(f"no such devices here: {error}", instead) from error


@contextmanager
def launched(fabric: Fabric, again: str = "") -> Generator[Fabric]:
    """Starts all processes of a command, and stops those that it started if this one fails.

    Errors that all processes meet alike are reported by the first one only.

    Args:
        fabric: What starts them.
        again: The command that goes on where this one was stopped, for hints.

    Raises:
        KivfmError: If another process is lost.
    """
    watch = Watch(fabric, again)
    try:
        with watch:
            fabric.launch()
            yield fabric
    except BaseException as error:
        lost = watch.explain(error)
        watch.kill()
        if fabric.global_rank and isinstance(error, Interrupted | UsageError):
            raise SystemExit(error.exit_code) from error
        if lost == "":
            raise SystemExit(1) from error
        if lost is not None:
            raise KivfmError(lost, again) from error
        raise


def is_first() -> bool:
    """Whether this process reports and writes for all processes of its command."""
    group = torch.distributed
    return not (group.is_available() and group.is_initialized() and group.get_rank())


def rank_logger(fabric: Fabric, log: Callable[[str], None]) -> Callable[[str], None]:
    """Reports what only one process knows: the first by `log`, any other on stderr, by its rank."""
    rank = fabric.global_rank
    return (lambda text: print(f"rank {rank}: {text}", file=sys.stderr)) if rank else log


def all_reduce(fabric: Fabric) -> Callable[[Tensor], Tensor]:
    """A function that sums a tensor over all processes, on any device; all have to call it."""

    def reduce(tensor: Tensor) -> Tensor:
        if fabric.world_size == 1:
            return tensor
        there = fabric.to_device(tensor.clone())
        total = fabric.all_reduce(there, reduce_op="sum")
        assert isinstance(total, Tensor)
        return total.to(tensor.device)

    return reduce


def summed(tensor: Tensor) -> Tensor:
    """The sum of a tensor over all processes; gradients pass. All have to call it."""
    group = torch.distributed
    if not (group.is_available() and group.is_initialized()):
        return tensor
    # Not there where PyTorch was built for one process.
    from torch.distributed.nn.functional import all_reduce as add_up

    return add_up(tensor)
