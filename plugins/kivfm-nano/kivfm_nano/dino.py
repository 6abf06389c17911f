"""dino/nano: a small ViT with general features."""

import timm
from torch import Tensor, nn

from kivfm_core.spec import TeacherSpec


class Encoder(nn.Module):
    """Canvas [B, 3, H, W] -> `global` [B, C] and `dense` [B, C, H/8, W/8].

    `global` is the maximum over patches, its directions brought nearer to equal variance.
    """

    def __init__(self, channels: int, stride: int, size: int, depth: int) -> None:
        super().__init__()
        self.vit = timm.models.VisionTransformer(
            img_size=size,
            patch_size=stride,
            embed_dim=channels,
            depth=depth,
            num_heads=4,
            num_classes=0,
            dynamic_img_size=True,
        )
        self.whiten = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Compute the levels, after the last norm."""
        tokens = self.vit.forward_features(x)
        height, width = (side // self.vit.patch_embed.patch_size[0] for side in x.shape[-2:])
        dense = tokens[:, 1:].transpose(1, 2).unflatten(2, (height, width))
        return {"global": self.whiten(tokens[:, 1:].amax(1)), "dense": dense}


def encoder(spec: TeacherSpec) -> Encoder:
    """Build the encoder."""
    level = spec.level("dense")
    assert level.stride is not None
    return Encoder(level.channels, level.stride, spec.input.size, len(spec.attachments))
