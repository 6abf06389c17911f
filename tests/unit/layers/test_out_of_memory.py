"""Batches are halved when memory runs out, on a GPU and on the CPU."""

import pytest
import torch
from torch import Tensor, nn

from kivfm_core.errors import KivfmError
from kivfm_core.layers.out_of_memory import BatchSplitter

# What torch says on Linux and on Windows, and what Python and a GPU raise.
FULL = [
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to 9 bytes"),
    RuntimeError("[enforce fail] data. DefaultCPUAllocator: not enough memory: you tried to"),
    MemoryError(),
    torch.OutOfMemoryError(),
]


class Hungry(nn.Module):
    """Fails on more views than its memory holds."""

    def __init__(self, room: int, error: BaseException) -> None:
        super().__init__()
        self.room, self.error, self.sizes = room, error, list[int]()

    def forward(self, views: Tensor) -> Tensor:
        self.sizes.append(len(views))
        if len(views) > self.room:
            raise self.error
        return 2 * views


def run(network: Hungry, splitter: BatchSplitter) -> Tensor:
    views = torch.arange(7.0)
    return torch.cat(splitter.run(7, lambda parts: [network(views[part]) for part in parts]))


@pytest.mark.parametrize("error", FULL, ids=lambda error: str(error)[:60] or type(error).__name__)
def test_a_batch_is_halved_until_it_fits(error: BaseException):
    said: list[str] = []
    splitter, network = BatchSplitter("running it", "smaller", said.append), Hungry(2, error)
    assert torch.equal(run(network, splitter), 2 * torch.arange(7.0))
    assert network.sizes == [7, 4, 2, 2, 2, 1] and splitter.size == 2
    assert said[-1] == "out of memory: running it in parts of 2, 7 views a step"
    with pytest.raises(KivfmError, match="out of memory: running it, one view at a time"):
        run(Hungry(0, error), splitter)


def test_the_cpu_itself_says_so():
    """The words that are looked for are torch's own."""
    tried: list[int] = []

    def work(parts: list[slice]) -> list[int]:
        for part in parts:
            tried.append(part.stop - part.start)
            torch.empty(2**60 if tried[-1] > 1 else 1)
        return tried

    BatchSplitter("running it", "", lambda _: None).run(2, work)
    assert tried == [2, 1, 1]


def test_another_error_stays_itself():
    with pytest.raises(RuntimeError, match="shapes"):
        run(Hungry(2, RuntimeError("shapes differ")), BatchSplitter("it", "", lambda _: None))
