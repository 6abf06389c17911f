"""Divides a command's images among processes, and collects what each process found.

Images are divided in blocks, and a batch never has images of two blocks. So the batches are the
same in any number of processes, and so is every bit of the networks' outputs. Torch-free.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar, cast

_T = TypeVar("_T")

# Images of a block. With more, few images leave processes idle; with fewer, images of many shapes
# make smaller batches.
BLOCK = 128


@dataclass(frozen=True)
class Team:
    """The processes that share a command's images; one alone by default.

    Attributes:
        rank: This process's number among them, from 0.
        world: The number of processes.
    """

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process reports and writes for all."""
        return self.rank == 0

    def share(self, count: int) -> Sequence[int]:
        """This process's images among `count`, as indices: every `world`-th block.

        Example:
            >>> len(Team(0, 2).share(300)), Team(1, 2).share(300)[0], Team().share(3)
            (172, 128, range(0, 3))
        """
        if self.world == 1:
            return range(count)
        return [i for i in range(count) if block(i) % self.world == self.rank]

    def gather(self, value: _T) -> list[_T]:
        """The values of all processes, by rank; all have to call it, and all get them."""
        if self.world == 1:
            return [value]
        # One process alone sends nothing, and need not import it.
        from torch.distributed import all_gather_object

        values: list[_T] = [value] * self.world
        all_gather_object(values, value)
        return values

    def once(self, make: Callable[[], _T]) -> _T:
        """What the first process makes, given to all; all have to call it."""
        made = self.gather(make() if self.is_first else None)[0]
        return cast(_T, made)

    def meet(self) -> None:
        """Waits until all processes are here."""
        self.gather(None)


ONE_PROCESS = Team()


@contextmanager
def start_team(
    devices: int | str = 1, nodes: int = 1, accelerator: str = "auto"
) -> Generator[Team]:
    """Starts the processes that share a command's images, as `kivfm distill` starts its own.

    Args:
        devices: How many on each node, or `auto`.
        nodes: How many nodes.
        accelerator: Where they compute, as in `engine.accelerator`.

    Raises:
        UsageError: If there are no such devices.
        KivfmError: If a process is lost; the others end, too.
    """
    if (devices, nodes) == (1, 1):
        yield ONE_PROCESS
        return
    # Fabric takes long to import, and most work is done by one process.
    from kivfm_core.processes.launch import launched
    from kivfm_core.processes.sharing import AGAIN, sharing_fabric

    with launched(sharing_fabric(devices, nodes, accelerator), AGAIN) as fabric:
        team = Team(fabric.global_rank, fabric.world_size)
        yield team
        team.meet()  # a process that ends before the others would count as lost


def block(index: int) -> int:
    """The block of an image."""
    return index // BLOCK
