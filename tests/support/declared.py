"""What an encoder gives, beside what its spec declares."""

import torch


def check(spec, encoder, side, device):
    """What the encoder gives on a canvas of `side`, and whether all is as declared."""
    seen = {}
    for place in spec.attachments:
        encoder.get_submodule(place.module).register_forward_hook(
            lambda _m, _x, y, key=place.module: seen.__setitem__(key, y.shape)
        )
    with torch.no_grad():
        levels = encoder(torch.zeros(1, 3, side, side, device=device))
    assert levels.keys() == {level.name for level in spec.levels}
    for level in spec.levels:
        grid = level.grid((side, side)) if level.kind == "dense" else ()
        assert levels[level.name].shape == (1, level.channels, *grid)
    for place in spec.attachments:
        shape = seen[place.module]
        if place.layout == "NLC":
            cells = (side // place.stride) ** 2
            assert shape[1:] == (place.prefix_tokens + cells, place.channels)
        else:
            channels, *grid = shape[1:] if place.layout == "NCHW" else (shape[3], *shape[1:3])
            assert channels == place.channels
            # What convolutions without padding lose at the border, taps get back by resizing.
            wanted = side / place.stride
            assert all(abs(n - wanted) <= max(1.5, wanted / 10) for n in grid)
    return levels
