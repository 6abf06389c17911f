"""A model as the backbone of someone else's network, in the form that torchvision takes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, cast

from torch import Tensor, nn

from kivfm_core.data.canvas import normalize
from kivfm_core.errors import UsageError
from kivfm_core.spec import InputContract, Level


class Backbone(nn.Module):
    """Canvases `[B, 3, H, W]`, RGB in [0, 1], to an `OrderedDict` of maps `[B, C, h, w]`.

    It normalizes canvases itself. Maps come finest first. Gradients reach all that is trainable in
    the model, which is a student's adapter or its whole trunk, and nothing of a teacher; a frozen
    encoder stays in evaluation mode.

    Args:
        body: Normalized canvases to a dictionary that has the maps.
        contract: How it normalizes.
        levels: Which maps.
        out_channels: Channels of each map, made by a trainable 1 x 1 convolution; None for the
            maps as they are.

    Attributes:
        out_channels: Channels of each map.

    Raises:
        UsageError: If there is no map, or maps as they are differ in channels.
    """

    def __init__(
        self,
        body: nn.Module,
        contract: InputContract,
        levels: Sequence[Level],
        out_channels: int | None = None,
    ) -> None:
        super().__init__()
        channels = {level.name: level.channels for level in levels}
        if not channels:
            raise UsageError("no map was chosen", "name a dense level")
        if out_channels is None and len(set(channels.values())) > 1:
            each = ", ".join(f"{name} {number}" for name, number in channels.items())
            raise UsageError(f"the maps differ in channels: {each}", "m.backbone(out_channels=256)")
        self.body, self.contract = body, contract
        self.names = [level.name for level in sorted(levels, key=lambda level: level.stride or 0)]
        self.out_channels = out_channels or next(iter(channels.values()))
        self.projections = nn.ModuleDict(
            {
                name: nn.Conv2d(number, out_channels, 1) if out_channels else nn.Identity()
                for name, number in channels.items()
            }
        )
        self.train(self.training)

    def train(self, mode: bool = True) -> Backbone:
        """Sets the training mode; of the body only if there is something to train in it."""
        super().train(mode)
        if not any(parameter.requires_grad for parameter in self.body.parameters()):
            self.body.eval()
        return self

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """The maps of canvases in [0, 1]."""
        found = cast(Mapping[str, Any], self.body(normalize(x, self.contract)))
        return OrderedDict((name, self.projections[name](found[name])) for name in self.names)
