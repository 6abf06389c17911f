"""Folded batch norm computes the same."""

import pytest
import torch
from torch import nn

from kivfm_core.weights.folding import fold_batch_norm


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4, eps=0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(self.conv(x))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    made = nn.Sequential(Block(), nn.Conv2d(4, 2, 1))
    for tensor in made[0].bn.parameters():
        nn.init.uniform_(tensor, 0.5, 1.5)
    made(torch.rand(8, 3, 9, 9))
    return made.eval()


def test_a_folded_network_computes_the_same():
    whole, x = network(), torch.rand(2, 3, 9, 9)
    folded = nn.Sequential(nn.Sequential(), nn.Conv2d(4, 2, 1))
    folded[0].add_module("conv", nn.Conv2d(3, 4, 3))
    folded.load_state_dict(fold_batch_norm(whole.state_dict(), eps=0.1))
    torch.testing.assert_close(folded(x), whole(x))


def test_what_is_folded_already_stays():
    state = {"0.conv.weight": torch.rand(1, 1, 1, 1), "0.conv.bias": torch.rand(1)}
    assert fold_batch_norm(state, eps=0.1) == state


@pytest.mark.parametrize("gone", ["0.bn.running_var", "0.conv.weight"])
def test_what_is_missing_is_named(gone: str):
    state = network().state_dict()
    del state[gone]
    with pytest.raises(KeyError, match=gone):
        fold_batch_norm(state, eps=0.1)
