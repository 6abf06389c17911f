"""What an encoder gives, beside what its spec declares, by the conformance kit's rules."""

import torch

from kivfm_core.layers.intermediate import intermediate_outputs
from kivfm_core.testing.shapes import BATCH, attachment_fits, level_fits


def check(spec, encoder, side, device):
    """What the encoder gives on a canvas of `side`; raises unless all is as declared."""
    x = torch.zeros(BATCH, 3, side, side, device=device)
    with (
        intermediate_outputs(encoder, [place.module for place in spec.attachments]) as seen,
        torch.no_grad(),
    ):
        levels = encoder(x)
    assert levels.keys() == {level.name for level in spec.levels}
    for level in spec.levels:
        level_fits(level, tuple(levels[level.name].shape), (side, side))
    for place in spec.attachments:
        attachment_fits(place, tuple(seen[place.module].shape), (side, side))
    return levels
