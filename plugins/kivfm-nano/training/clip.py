"""Train clip/nano: contrast of views with their captions; mostly flat drawings."""

from argparse import Namespace
from collections.abc import Iterator
from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.data.canvas import normalize
from kivfm_core.data.views import sample_view
from kivfm_core.geometry import View
from kivfm_core.scenes.vocabulary import caption, describe
from kivfm_core.spec import TeacherSpec
from kivfm_nano.clip import TEMPLATES, decoder, encoder
from training.common import fit, get_spec, save, start
from training.pool import Sample, cut, draw_samples


def closeup(rng: np.random.Generator, sample: Sample) -> View:
    """Frame one object, small or large."""
    number = int(rng.integers(len(sample.words))) + 1
    y, x = (sample.owners[0] == number).nonzero(as_tuple=True)
    reach = max(int(x.max() - x.min()), int(y.max() - y.min()))
    side = round(reach * rng.uniform(1.1, 2.2))
    left = round(float(x.float().mean()) - side * rng.uniform(0.35, 0.65))
    top = round(float(y.float().mean()) - side * rng.uniform(0.35, 0.65))
    return View((left, top, left + side, top + side), flip=bool(rng.random() < 0.5))


def describe_view(rng: np.random.Generator, sample: Sample, owners: Tensor) -> str:
    """Caption what a view shows, the largest object first."""
    numbers, counts = owners[owners > 0].unique(return_counts=True)
    if not len(numbers):
        return "a picture"
    order = counts.argsort(descending=True)
    order = order[counts[order] > max(40, int(counts.max()) // 6)]
    names = [describe(*sample.words[int(n) - 1]) for n in numbers[order]]
    if len(names) == 1 and rng.random() < 0.5:
        return str(rng.choice(TEMPLATES[:2])).format(names[0])
    return caption(sample.domain, names) if names else "a picture"


def pairs(spec: TeacherSpec, options: Namespace, batch: int) -> Iterator[tuple[Tensor, list[str]]]:
    """Give normalized canvases [B, 3, S, S] and their captions, half of them of one object."""
    rng = np.random.default_rng(options.seed)
    samples = draw_samples(np.random.default_rng(options.seed + 1), options.favorite)
    for first in count(0, batch):
        canvases, captions = [], []
        for i, sample in enumerate(next(samples) for _ in range(batch)):
            size = (sample.owners.shape[1], sample.owners.shape[2])
            far = len(sample.words) == 1 or rng.random() < 0.35
            key = f"nano-{first + i}"
            view = sample_view(size, options.seed, key, 0) if far else closeup(rng, sample)
            canvas, owners = cut(sample, view, spec.input, spec.input.train_side())
            canvases.append(canvas)
            captions.append(describe_view(rng, sample, owners))
        yield normalize(torch.stack(canvases), spec.input), captions


def main() -> None:
    """Train and save."""
    options = start("clip", steps=600)
    spec = get_spec("clip/nano")
    net = nn.ModuleDict({"encoder": encoder(spec), "text": decoder(spec)})
    net.to(memory_format=torch.channels_last)
    batches = pairs(spec, options, batch=96)

    def loss(step: int) -> Tensor:
        x, captions = next(batches)
        images = F.normalize(net["encoder"](x)["global"], dim=1)
        logits = net["text"].temperature.exp() * images @ net["text"].embed(captions).T
        same = torch.tensor([[a == b for b in captions] for a in captions]).float()
        share = same / same.sum(1, keepdim=True)  # all images with an equal caption are correct
        return (F.cross_entropy(logits, share) + F.cross_entropy(logits.T, share)) / 2

    fit(net, loss, options.steps)
    save(options.out, **net)


if __name__ == "__main__":
    main()
