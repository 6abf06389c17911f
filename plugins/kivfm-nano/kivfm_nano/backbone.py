"""The convolutional trunk that four of the teachers share in form, not in weights."""

import torch.nn.functional as F
from torch import Tensor, nn


def conv(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU: [B, inputs, H, W] -> [B, outputs, ceil(H / stride), ...]."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Block(nn.Module):
    """A residual block: [B, C, h, w] -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Add what two convolutions find."""
        return F.relu(x + self.norm(self.second(self.first(x))))


class Trunk(nn.Module):
    """A small residual network.

    Attributes:
        widths: Channels at strides 4, 8 and 16.
    """

    widths = (32, 80, 128)

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = self.widths
        self.stem = nn.Sequential(conv(3, 16, stride=2), conv(16, fine, stride=2), Block(fine))
        self.middle = nn.Sequential(conv(fine, middle, stride=2), Block(middle))
        self.coarse = nn.Sequential(conv(middle, coarse, stride=2), Block(coarse))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute features.

        Args:
            x: Normalized canvas [B, 3, H, W].

        Returns:
            [B, 32, H/4, W/4], [B, 80, H/8, W/8] and [B, 128, H/16, W/16].
        """
        fine = self.stem(x)
        middle = self.middle(fine)
        return fine, middle, self.coarse(middle)


class LevelNorm(nn.Module):
    """Bring a level's vectors to zero mean and a fixed root mean square."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Normalize over channels: [B, C] or [B, C, h, w]."""
        x = x - x.mean(1, keepdim=True)
        return self.scale * x * (x.square().mean(1, keepdim=True) + 1e-5).rsqrt()


def grow(x: Tensor, like: Tensor) -> Tensor:
    """Resize a map [B, C, h, w] bilinearly to the grid of another."""
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)
