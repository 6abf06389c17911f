"""The network: an encoder alone, which gives features and solves no task."""

from collections.abc import Mapping

from torch import Tensor, nn

from kivfm_core.spec import TeacherSpec


class Encoder(nn.Module):
    """Normalized canvas [B, 3, H, W] -> `dense` [B, C, H/8, W/8], `global` [B, C]."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.cells = nn.Conv2d(3, channels, stride, stride, bias=False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Compute every level that the spec declares."""
        dense = self.cells(x)
        return {"dense": dense, "global": dense.mean((2, 3))}


def build_encoder(spec: TeacherSpec) -> nn.Module:
    """The encoder of a spec, with random weights."""
    level = spec.level("dense")
    assert level.stride is not None
    return Encoder(level.channels, level.stride)


def split(spec: TeacherSpec, state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """All tensors of the weights file are the encoder's."""
    return {"encoder": dict(state)}
