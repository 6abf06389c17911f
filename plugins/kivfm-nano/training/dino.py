"""Train dino/nano without labels: two views of a place agree, and differ from all others.

Contrast (SimCLR) of class tokens, with other places of the same picture among the negatives so
that backgrounds do not give it away; and of patch tokens that show the same spot (DenseCL).
"""

from collections.abc import Iterator
from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms import v2

from kivfm_core.data.canvas import normalize
from kivfm_core.geometry import View
from kivfm_core.spec import TeacherSpec
from kivfm_nano.dino import encoder
from training.common import fit, get_spec, save, start
from training.pool import Sample, cut, draw_samples

SPOTS = 6
"""Matched patches a pair of views."""


def frame_twice(rng: np.random.Generator, sample: Sample, zoom: float) -> tuple[View, View]:
    """Frame a place twice, a little apart; `zoom` scales the size of what is framed."""
    height, width = sample.owners.shape[1:]
    side = zoom * rng.uniform(40, 90)
    margin = min(0.3 * side, 0.4 * min(height, width))
    x, y = rng.uniform(margin, width - margin), rng.uniform(margin, height - margin)
    both = []
    for _ in range(2):
        own = side * float(np.exp(rng.uniform(-0.2, 0.2)))
        left, top = (round(c + own * (rng.uniform(-0.12, 0.12) - 0.5)) for c in (x, y))
        both.append(View((left, top, left + round(own), top + round(own))))
    return both[0], both[1]


def meet(rng: np.random.Generator, first: View, second: View) -> np.ndarray:
    """Pick spots that both views show: in [-1, 1] of each view, [2, SPOTS, 2]."""
    a, b = np.array(first.box, float), np.array(second.box, float)
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    spots = rng.uniform(low, high, (SPOTS, 2))
    return np.stack([(spots - v[:2]) / (v[2:] - v[:2]) * 2 - 1 for v in (a, b)])


def couples(spec: TeacherSpec) -> Iterator[tuple[Tensor, Tensor]]:
    """Give canvases [2, N, 3, S, S] and spots [2, N, SPOTS, 2].

    Three batches of several small places a picture, then one of large views at full size.
    """
    rng = np.random.default_rng(0)
    samples = draw_samples(rng, None)
    jitter = v2.Compose([
        v2.RandomApply([v2.ColorJitter(0.5, 0.5, 0.5, 0.5)], p=0.9),
        v2.RandomGrayscale(0.25),
        v2.RandomApply([v2.GaussianBlur(5, (0.3, 1.2))], p=0.3),
        v2.RandomInvert(0.15),
    ])  # fmt: skip
    for step in count():
        side, pictures, places = (96, 28, 1) if step % 4 == 3 else (48, 24, 3)
        firsts, seconds, spots = [], [], []
        for _ in range(pictures):
            sample = next(samples)
            for _ in range(places):
                views = frame_twice(rng, sample, side / 48 * 0.9)
                a, b = (jitter(cut(sample, view, spec.input, side)[0]) for view in views)
                firsts.append(a)
                seconds.append(b)
                spots.append(meet(rng, *views))
        canvases = normalize(torch.stack(firsts + seconds), spec.input)
        both = torch.from_numpy(np.stack(spots, axis=1)).float()
        yield canvases.unflatten(0, (2, -1)), both


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


def main() -> None:
    """Train and save."""
    options = start(steps=600)
    spec = get_spec("dino/nano")
    width = spec.level("global").channels
    net = nn.ModuleDict(
        {"encoder": encoder(spec), "place": projector(width), "spot": projector(width)}
    )
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
        return contrast(a, b, 0.15) + 0.5 * contrast(c, d, 0.15)

    fit(net, loss, options.steps, lr=1e-3)
    save("dino", encoder=net["encoder"])


if __name__ == "__main__":
    main()
