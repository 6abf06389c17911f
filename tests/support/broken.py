"""Toy teachers that are broken, each in one way, and the upstream model of the one that is not."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
import toy
from torch import nn

from kivfm_core.predictions import ClassLogits, Detections, SemanticLogits
from kivfm_core.readout import Readout

MEAN = (9.0, 8.0, 7.0)
GOOD = toy.PURPOSE.model_copy(
    update={
        "name": "good/small",
        "aliases": ("good",),
        "encoder": "broken:Good",
        "original": "broken:Original",
        "input": toy.PURPOSE.input.model_copy(update={"mean": MEAN, "std": (3.0,) * 3}),
    }
)


class Good(toy.ToyPurpose):
    def __init__(self, spec=None):
        super().__init__()

    def forward(self, x):
        if x.shape[-1] % 16 or x.shape[-2] % 16:
            raise ValueError("sides are multiples of 16")
        return super().forward(x)


class Original(nn.Module):
    """Its state is the file's; its canvases are RGB in [0, 1]."""

    def __init__(self, spec):
        super().__init__()
        self.encoder = Good()
        self.classes, self.pixels = toy.ToyClassifier(), toy.ToySegmenter()

    def forward(self, canvases, prompts):
        levels = self.encoder((canvases.flip(1) * 255 - torch.tensor(MEAN).view(3, 1, 1)) / 3)
        return {
            "classification": self.classes(levels, None),
            "semantic-segmentation": self.pixels(levels, None),
        }


class OtherOriginal(Original):
    def forward(self, canvases, prompts):
        return super().forward(canvases.flip(1), prompts)


# Encoders


class Noisy(Good):
    def forward(self, x):
        return super().forward(x + 1e-5 * torch.randn_like(x))


class Counting(Good):
    def __init__(self, spec):
        super().__init__()
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, x):
        self.passes += 1
        return super().forward(x)


class Waking(Good):
    def forward(self, x):
        self.fine.train()
        return super().forward(x)


class Thawing(Good):
    def forward(self, x):
        self.requires_grad_(True)
        return super().forward(x)


class Crowded(Good):
    def forward(self, x):
        return super().forward(x - x.mean(0, keepdim=True))


class Coarse(Good):
    def forward(self, x):
        return super().forward(x) | {"coarse": self.coarse(self.fine(x)) + 1e5 - 1e5}


class Inferring(Good):
    def forward(self, x):
        with torch.inference_mode():
            return super().forward(x)


class Carrying(Good):
    def forward(self, x):
        with torch.enable_grad():
            return super().forward(x.detach().requires_grad_(True))


class Normalizing(Good):
    def forward(self, x):
        return super().forward((x - torch.tensor(MEAN).view(3, 1, 1)) / 3)


class Swapping(Good):
    def forward(self, x):
        return super().forward(x.flip(1))


class Reordering(Good):
    def forward(self, x):
        return super().forward(x[:, [2, 1, 0]])


class Turned(Good):
    def forward(self, x):
        found = super().forward(x)
        return {k: v.transpose(-1, -2) if v.ndim == 4 else v for k, v in found.items()}


class Scaling(Good):
    def forward(self, x):
        return super().forward(x * 255)


class Padding(toy.ToyPurpose):
    """Serves every canvas, and gives more cells than are declared."""

    def __init__(self, spec):
        super().__init__()

    def forward(self, x):
        found = super().forward(x)
        return {k: nn.functional.pad(v, (0, 1)) if v.ndim == 4 else v for k, v in found.items()}


class Resizing(Good):
    """Encodes at half the size, and gives levels of the declared one."""

    def forward(self, x):
        found = super().forward(nn.functional.interpolate(x, scale_factor=0.5, mode="bilinear"))
        return {k: v.repeat(1, 1, 2, 2) if v.ndim == 4 else v for k, v in found.items()}


class Letterboxing(Good):
    """Pads by a cell, and takes it off the levels."""

    def forward(self, x):
        found = super().forward(nn.functional.pad(x, (0, 16, 0, 16)))
        fine, coarse = found["fine"][..., :-4, :-4], found["coarse"][..., :-1, :-1]
        return {"fine": fine, "coarse": coarse, "global": coarse.mean((2, 3))}


class Branching(Good):
    """Sees the canvas whole, and once more at half the size; its first layer pads by pixels."""

    def forward(self, x):
        found = super().forward(x)
        small = self.fine(nn.functional.interpolate(x, scale_factor=0.5, mode="bilinear"))
        stem = self.fine(nn.functional.pad(x, (1, 2, 1, 2)))
        return found | {"global": found["global"] + small.mean() + stem.mean()}


class Talking(Good):
    def forward(self, x):
        print("I see")
        return super().forward(x)


class Half(Good):
    def forward(self, x):
        return super().forward(x) | {"coarse": self.coarse(self.fine(x)).half()}


class Picky(Good):
    def forward(self, x):
        if x.shape[-1] != x.shape[-2]:
            raise ValueError("square canvases only")
        return super().forward(x)


def pickling(spec):
    pickle.loads(pickle.dumps(Path("weights")))
    return Good()


_read: list[bool] = []


def pickling_once(spec):
    if not _read:
        _read.append(bool(pickle.loads(pickle.dumps(Path("weights")))))
    return Good()


def forgetful(spec, state):
    return {**toy.split(spec, state), "encoder": {}}


def failing(spec):
    raise RuntimeError("no luck")


# Decoders


class Wide(toy.ToyClassifier):
    def __init__(self, spec):
        super().__init__()

    def forward(self, levels, prompt):
        return ClassLogits(super().forward(levels, prompt).logits.repeat(1, 2))


class Mistaken(Wide):
    def forward(self, levels, prompt):
        return SemanticLogits(self.head(levels["global"])[..., None, None])


class Greedy(Wide):
    def forward(self, levels, prompt):
        return ClassLogits(self.head(levels["global"]) + levels["fine"].mean())


class Named(toy.ToyClassifier):
    def __init__(self, spec):
        super().__init__()


class Falling(Named):
    def forward(self, levels, prompt):
        raise RuntimeError("no luck")


class Restless(Named):
    """In training mode after use."""

    def forward(self, levels, prompt):
        self.head.train()
        return super().forward(levels, prompt)


class Learning(Named):
    """Its state changes with use."""

    def __init__(self, spec):
        super().__init__(spec)
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, levels, prompt):
        self.passes += 1
        return super().forward(levels, prompt)


class Comparing(Named):
    """Its answer depends on the batch's other pictures."""

    def forward(self, levels, prompt):
        logits = super().forward(levels, prompt).logits
        return ClassLogits(logits - logits.mean(0))


class Numb(Named):
    def readout(self, levels):
        return [Readout(self.head(levels["global"]).detach(), "choice")]


class Plain(Named):
    def readout(self, levels):
        return [self.head(levels["global"])]


class Heavy(Named):
    def readout(self, levels):
        said = self.head(levels["global"])
        return [Readout(said, "choice", torch.full(said.shape[:-1], torch.inf))]


class Silent(Named):
    def readout(self, levels):
        return []


class Blind(Named):
    """A detector that finds nothing."""

    def forward(self, levels, prompt):
        none = [torch.zeros(0)] * len(levels["global"])
        return Detections([torch.zeros(0, 4)] * len(none), none, [n.long() for n in none])


class BlindOriginal(Original):
    def forward(self, canvases, prompts):
        found = super().forward(canvases, prompts)
        return {**found, "detection": Blind.forward(self, {"global": canvases}, None)}
