"""A detector of toys, and the mistakes that authors of detectors make."""

from __future__ import annotations

import broken
import torch
import toy
from torch import nn

from kivfm_core.data.canvas import make_canvases
from kivfm_core.predictions import ClassLogits, Detections
from kivfm_core.spec import TaskSpec

NAMES = ("cat", "dog", "cow", "hen", "fox")


class Seer(nn.Module):
    """An object at each of the 20 places of `coarse` (stride 16) that are surest of one."""

    stride, shift, classes = 16, 0.5, len(NAMES)

    def __init__(self, spec=None):
        super().__init__()
        self.names = nn.Conv2d(40, self.classes, 1)
        self.reach = nn.Conv2d(40, 4, 1)

    def forward(self, levels, prompt):
        x = levels["coarse"] / 50
        h, w = x.shape[2:]
        y, x0 = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        center = (torch.stack([x0, y], -1).flatten(0, 1) + self.shift) * self.stride
        reach = nn.functional.softplus(self.reach(x)).flatten(2).movedim(1, 2) * self.stride
        corners = torch.cat([center - reach[..., :2], center + reach[..., 2:]], 2)
        best, labels = self.names(x).flatten(2).movedim(1, 2).max(2)
        order = best.argsort(1, descending=True)[:, :20]
        rows = range(len(x))
        return Detections(
            [self.boxes(corners[i, order[i]], (h * 16, w * 16)) for i in rows],
            [self.scores(best[i, order[i]]) for i in rows],
            [self.labels(labels[i, order[i]]) for i in rows],
        )

    def boxes(self, corners, canvas):
        return corners

    def scores(self, logits):
        return logits.sigmoid()

    def labels(self, labels):
        return labels


class Shifted(Seer):
    shift = 0.0


class Shrunk(Seer):
    """Its centers are right; its boxes are those of another stride."""

    def boxes(self, corners, canvas):
        center, reach = (corners[:, :2] + corners[:, 2:]) / 2, (corners[:, 2:] - corners[:, :2]) / 4
        return torch.cat([center - reach, center + reach], 1)


class Doubled(Seer):
    def boxes(self, corners, canvas):
        return corners * self.stride


class Sized(Seer):
    def boxes(self, corners, canvas):
        return torch.cat([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)


class Centered(Seer):
    def boxes(self, corners, canvas):
        low, high = corners.split(2, 1)
        return torch.cat([(low + high) / 2, high - low], 1)


class Fractional(Seer):
    def boxes(self, corners, canvas):
        h, w = canvas
        return corners / torch.tensor([w, h, w, h])


class Exchanged(Seer):
    def boxes(self, corners, canvas):
        return corners[:, [1, 0, 3, 2]]


class Unsure(Seer):
    def scores(self, logits):
        return logits


class Late(Seer):
    def labels(self, labels):
        return labels + 1


class Early(Seer):
    def labels(self, labels):
        return labels - 1


class Rough(Seer):
    def labels(self, labels):
        return labels.float()


class Lost(Seer):
    def boxes(self, corners, canvas):
        return corners / 0


class Stuck(Seer):
    """Gives every image what the first has."""

    def forward(self, levels, prompt):
        first = super().forward({"coarse": levels["coarse"][:1]}, prompt)
        count = len(levels["coarse"])
        return Detections(first.boxes * count, first.scores * count, first.labels * count)


class Raising(Seer):
    def boxes(self, corners, canvas):
        raise RuntimeError("no luck with boxes")


class Whole(nn.Module):
    """Model and preprocessing as they were published."""

    def __init__(self, spec):
        super().__init__()
        self.encoder, self.objects = broken.Good(), Seer()

    def forward(self, canvases, prompts):
        mean = torch.tensor(broken.MEAN).view(3, 1, 1)
        return {"detection": self.objects(self.encoder((canvases.flip(1) * 255 - mean) / 3), None)}

    def preprocess(self, image):
        canvas = make_canvases([image], broken.GOOD.input)[0][0]
        return (canvas.flip(0) * 255 - torch.tensor(broken.MEAN).view(3, 1, 1)) / 3


class Mute(Whole):
    def forward(self, canvases, prompts):
        return {}


class Same(toy.ToyClassifier):
    """Its logits are the same, whatever it sees."""

    def __init__(self, spec):
        super().__init__()

    def forward(self, levels, prompt):
        return ClassLogits(self.head.bias.expand(len(levels["global"]), -1))


SEER = broken.GOOD.model_copy(
    update={
        "name": "seer/small",
        "aliases": ("seer",),
        "original": "planted:Whole",
        "tasks": (
            TaskSpec(
                task="detection",
                levels=("coarse",),
                decoder="planted:Seer",
                part="objects",
                labels=NAMES,
            ),
        ),
    }
)
