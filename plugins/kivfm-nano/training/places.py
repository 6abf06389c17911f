"""Pairs of views of places, without labels, for dino/nano's recipe."""

from argparse import Namespace
from collections.abc import Iterator
from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kivfm_core.data.canvas import normalize
from kivfm_core.spec import TeacherSpec
from training.pool import draw_samples

# Side of the square that images are padded to, in pixels.
ROOM = 168

# Matched patches a pair of views.
SPOTS = 6


def spread(low: float, high: float, *shape: int) -> Tensor:
    """Draw uniform numbers."""
    return torch.empty(shape).uniform_(low, high)


def pick_places(image: Tensor, amount: int) -> Tensor:
    """Pick places (x, y) [amount, 2] of an image [3, H, W] where colors differ from the rest."""
    small = F.avg_pool2d(image[None], 8)[0]
    away = (small - small.flatten(1).median(1).values[:, None, None]).abs().sum(0)
    away = F.avg_pool2d(away[None, None], 3, 1, 1, count_include_pad=False)[0, 0]
    chosen = torch.multinomial((away.square() + 1e-3).flatten(), amount)
    y, x = chosen // small.shape[2], chosen % small.shape[2]
    return 8 * (torch.stack((x, y), dim=1) + spread(0, 1, amount, 2))


def frame(places: Tensor, sides: Tensor, wander: float) -> Tensor:
    """Frame places anew: turned, scaled, shifted, mirrored.

    Args:
        places: Centers (x, y) in pixels [N, 2].
        sides: Pixels that a view spans, about [N].
        wander: How far the place may be from the middle of a view, as a share of its side.

    Returns:
        Maps from view coordinates in [-1, 1] to pixels, [N, 2, 3].
    """
    amount = len(places)
    half = sides * spread(-0.2, 0.2, amount).exp() / 2
    turn = spread(-0.25, 0.25, amount)
    mirror = torch.where(torch.rand(amount) < 0.5, -1.0, 1.0)
    cos, sin = turn.cos() * half, turn.sin() * half
    linear = torch.stack((cos * mirror, -sin, sin * mirror, cos), dim=1).view(-1, 2, 2)
    off = linear @ spread(-2 * wander, 2 * wander, amount, 2, 1)
    return torch.cat((linear, places[..., None] - off), dim=2)


def look(images: Tensor, maps: Tensor, side: int) -> Tensor:
    """Render views [N, 3, side, side] of images [N, 3, ROOM, ROOM]."""
    grid = F.affine_grid(maps, [len(maps), 3, side, side], align_corners=False)
    return F.grid_sample(images, grid / ROOM * 2 - 1, "bilinear", "reflection", False)


def recolor(x: Tensor) -> Tensor:
    """Change the colors of views [N, 3, h, w] in [0, 1]: swap and mix channels, invert, fade."""
    amount = len(x)
    swapped = torch.eye(3)[torch.rand(amount, 3).argsort(1)]
    mixing = 0.8 * swapped + 0.2 * torch.rand(amount, 3, 3) / 1.5
    gray = torch.full((3, 3), 1 / 3)
    mixing = torch.where(torch.rand(amount, 1, 1) < 0.2, gray, mixing)
    mixing = torch.where(torch.rand(amount, 1, 1) < 0.3, torch.eye(3), mixing)
    x = torch.einsum("nij,njhw->nihw", mixing, x)
    x = torch.where(torch.rand(amount, 1, 1, 1) < 0.2, 1 - x, x)
    middle = x.mean((1, 2, 3), keepdim=True)
    x = middle + (x - middle) * spread(0.6, 1.4, amount, 1, 1, 1)
    return (x * spread(0.7, 1.3, amount, 1, 1, 1)).clamp(0, 1)


def surround(x: Tensor) -> Tensor:
    """Paste some of the views into the surroundings of others, with a soft round edge."""
    amount, side = len(x), x.shape[-1]
    line = torch.linspace(-1, 1, side)
    center, radius = spread(-0.3, 0.3, amount, 2, 1, 1), spread(0.6, 0.9, amount, 1, 1)
    far = torch.hypot(line - center[:, 0], line[:, None] - center[:, 1])
    keep = ((radius - far) * 6 + 0.5).clamp(0, 1)[:, None]
    keep = torch.where(torch.rand(amount, 1, 1, 1) < 0.4, keep, 1.0)
    return keep * x + (1 - keep) * x[torch.randperm(amount)]


def couples(spec: TeacherSpec, options: Namespace) -> Iterator[tuple[Tensor, Tensor]]:
    """Give canvases [2, N, 3, S, S] and spots [2, N, SPOTS, 2] in [-1, 1].

    Three batches of several small places an image, then one of large views at full size.
    """
    samples = draw_samples(np.random.default_rng(options.seed), options.favorite)
    for step in count():
        side, amount, places = (96, 24, 1) if step % 4 == 3 else (48, 24, 3)
        low, high, wander = (80, 150, 0.3) if step % 4 == 3 else (40, 80, 0.1)
        rooms, centers = [], []
        for _ in range(amount):
            image = next(samples).image.float() / 255
            height, width = image.shape[1:]
            room = F.pad(image[None], (0, ROOM - width, 0, ROOM - height), "reflect")
            rooms.append(room.expand(places, -1, -1, -1))
            centers.append(pick_places(image, places))
        images, center = torch.cat(rooms), torch.cat(centers)
        sides = spread(low, high, len(center))
        maps = [frame(center, sides, wander) for _ in range(2)]
        views = [surround(recolor(look(images, each, side))) for each in maps]
        canvases = torch.stack([normalize(view, spec.input) for view in views])
        # Spots near the place, in pixels, and where each view shows them.
        spots = center[:, None] + spread(-0.3, 0.3, len(center), SPOTS, 2) * sides[:, None, None]
        shown = [
            torch.linalg.solve(m[:, :, :2], (spots - m[:, None, :, 2]).transpose(1, 2))
            for m in maps
        ]
        yield canvases, torch.stack([each.transpose(1, 2) for each in shown])
