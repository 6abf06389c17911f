"""Train dino/nano without labels: two views of a place agree, and differ from all others.

Contrast (SimCLR) of pooled tokens, with other places of the same picture among the negatives and
with foreign surroundings pasted in, so that backgrounds do not give a place away; and of patch
tokens that show the same spot (DenseCL). Places that stand out are looked at more often.
"""

from collections.abc import Iterator
from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.data.canvas import make_canvases, normalize
from kivfm_core.spec import TeacherSpec
from kivfm_nano.dino import encoder
from training.common import fit, get_spec, save, start
from training.pool import Sample, draw_samples, load_pool

ROOM = 168
"""Side of the square that pictures are padded to, in pixels."""

WHOLE = 300
"""Pictures a domain that the last map is fitted to."""

SPOTS = 6
"""Matched patches a pair of views."""


def spread(low: float, high: float, *shape: int) -> Tensor:
    """Draw uniform numbers."""
    return torch.empty(shape).uniform_(low, high)


def pick_places(picture: Tensor, amount: int) -> Tensor:
    """Pick places (x, y) [amount, 2] of a picture [3, H, W] where colors differ from the rest."""
    small = F.avg_pool2d(picture[None], 8)[0]
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


def look(pictures: Tensor, maps: Tensor, side: int) -> Tensor:
    """Render views [N, 3, side, side] of pictures [N, 3, ROOM, ROOM]."""
    grid = F.affine_grid(maps, [len(maps), 3, side, side], align_corners=False)
    return F.grid_sample(pictures, grid / ROOM * 2 - 1, "bilinear", "reflection", False)


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


def couples(spec: TeacherSpec) -> Iterator[tuple[Tensor, Tensor]]:
    """Give canvases [2, N, 3, S, S] and spots [2, N, SPOTS, 2] in [-1, 1].

    Three batches of several small places a picture, then one of large views at full size.
    """
    samples = draw_samples(np.random.default_rng(0), None)
    for step in count():
        side, amount, places = (96, 24, 1) if step % 4 == 3 else (48, 24, 3)
        low, high, wander = (80, 150, 0.3) if step % 4 == 3 else (40, 80, 0.1)
        rooms, centers = [], []
        for _ in range(amount):
            sample: Sample = next(samples)
            picture = sample.picture.float() / 255
            height, width = picture.shape[1:]
            room = F.pad(picture[None], (0, ROOM - width, 0, ROOM - height), "reflect")
            rooms.append(room.expand(places, -1, -1, -1))
            centers.append(pick_places(picture, places))
        pictures, center = torch.cat(rooms), torch.cat(centers)
        sides = spread(low, high, len(center))
        maps = [frame(center, sides, wander) for _ in range(2)]
        views = [surround(recolor(look(pictures, each, side))) for each in maps]
        canvases = torch.stack([normalize(view, spec.input) for view in views])
        # Spots near the place, in pixels, and where each view shows them.
        spots = center[:, None] + spread(-0.3, 0.3, len(center), SPOTS, 2) * sides[:, None, None]
        shown = [
            torch.linalg.solve(m[:, :, :2], (spots - m[:, None, :, 2]).transpose(1, 2))
            for m in maps
        ]
        yield canvases, torch.stack([each.transpose(1, 2) for each in shown])


def contrast(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """InfoNCE both ways of [N, D] with [N, D]: each row's partner is the row of its number."""
    logits = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / temperature
    target = torch.arange(len(a))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def projector(channels: int) -> nn.Sequential:
    """Make the head in front of a contrast; it is thrown away."""
    return nn.Sequential(
        nn.Linear(channels, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, 64)
    )


@torch.no_grad()
def whiten(net: nn.Module, spec: TeacherSpec) -> None:
    """Fit the last map of `global` to whole pictures: half-way to equal variances."""
    pictures = [sample.picture for samples in load_pool().values() for sample in samples[:WHOLE]]
    found = []
    for first in range(0, len(pictures), 50):
        canvases, _ = make_canvases(pictures[first : first + 50], spec.input)
        found.append(net(normalize(canvases, spec.input))["global"])
    x = torch.cat(found)
    values, vectors = torch.linalg.eigh(x.T.cov())
    net.whiten.weight.copy_(vectors.T / (values[:, None] + 1e-6) ** 0.25)
    net.whiten.bias.copy_(-net.whiten.weight @ x.mean(0))


def main() -> None:
    """Train and save."""
    options = start(steps=700)
    spec = get_spec("dino/nano")
    width = spec.level("global").channels
    net = nn.ModuleDict(
        {"encoder": encoder(spec), "place": projector(width), "spot": projector(width)}
    )
    nn.init.eye_(net["encoder"].whiten.weight)
    nn.init.zeros_(net["encoder"].whiten.bias)
    net["encoder"].whiten.requires_grad_(False)
    batches = couples(spec)

    def loss(step: int) -> Tensor:
        canvases, spots = next(batches)
        levels = net["encoder"](canvases.flatten(0, 1))
        a, b = net["place"](levels["global"]).chunk(2)
        at = F.grid_sample(
            levels["dense"], spots.flatten(0, 1)[:, None], padding_mode="border",
            align_corners=False,
        )[:, :, 0].transpose(1, 2)  # fmt: skip
        c, d = net["spot"](at.flatten(0, 1)).chunk(2)
        return contrast(a, b, 0.15) + 0.3 * contrast(c, d, 0.15)

    fit(net, loss, options.steps, lr=1.5e-3)
    whiten(net["encoder"], spec)
    save("dino", encoder=net["encoder"])


if __name__ == "__main__":
    main()
