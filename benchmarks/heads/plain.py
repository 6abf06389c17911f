"""Heads on a frozen timm ViT by plain PyTorch: what one writes without kivfm.

No line here is kivfm's. Features are computed once on letterboxed squares, the class token and
patch maps of four depths; the heads, their optimizer, steps and batches are those of
`kivfm head --kind dense-linear`, `--kind fcos` and `--kind linear`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import cos, pi
from pathlib import Path

import numpy as np
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOS, FCOSHead
from torchvision.models.detection.image_list import ImageList

BATCH, RATE, DECAY = 16, 3e-3, 1e-4
# The detector's: learning rate, strides in pixels, channels, and convolutions in each branch.
FCOS_RATE, STRIDES, WIDTH, DEPTH = 1e-3, (8, 16, 32, 64), 96, 2


class Features:
    """A frozen ViT that maps image files to what heads read.

    Args:
        name: As timm calls it.
        weights: A file with its weights.
        side: Of the square canvas, in pixels.
    """

    def __init__(self, name: str, weights: Path, side: int) -> None:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        self.model = timm.create_model(name, dynamic_img_size=True).eval().requires_grad_(False)
        self.model.load_state_dict(state)
        self.side = side
        config = self.model.pretrained_cfg
        self.mean, self.std = (torch.tensor(config[key])[:, None, None] for key in ("mean", "std"))
        blocks = len(self.model.blocks)
        self.depths = [blocks * (i + 1) // 4 - 1 for i in range(4)]

    def size(self, image: Image.Image) -> tuple[int, int]:
        """Width and height of the image's content on the canvas."""
        scale = self.side / max(image.size)
        return round(image.width * scale), round(image.height * scale)

    def canvas(self, file: Path) -> Tensor:
        """A letterboxed, normalized image `[3, side, side]`, its content top left."""
        image = _load(file).convert("RGB")
        small = image.resize(self.size(image), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(small)).permute(2, 0, 1) / 255
        canvas = torch.zeros(3, self.side, self.side)
        canvas[:, : small.height, : small.width] = (pixels - self.mean) / self.std
        return canvas

    @torch.no_grad()
    def __call__(self, files: Sequence[Path]) -> tuple[Tensor, list[Tensor]]:
        """The class token `[N, C]`, and the maps `[N, C, h, w]` of four depths."""
        parts: list[tuple[Tensor, ...]] = []
        for start in range(0, len(files), BATCH):
            x = torch.stack([self.canvas(file) for file in files[start : start + BATCH]])
            found = self.model.forward_intermediates(
                x, indices=self.depths, norm=True, intermediates_only=True,
                return_prefix_tokens=True,
            )  # fmt: skip
            maps, tokens = zip(*found, strict=True)
            parts.append((tokens[-1][:, 0], *maps))
        token, *joined = (torch.cat(own) for own in zip(*parts, strict=True))
        return token, joined


def _load(file: Path) -> Image.Image:
    with Image.open(file) as image:
        return image.copy()


class Dense(nn.Module):
    """Batch norm and a 1 x 1 convolution on every map, summed.

    Args:
        channels: Of each map.
        classes: How many.
    """

    def __init__(self, channels: Sequence[int], classes: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(c), nn.Conv2d(c, classes, 1)) for c in channels
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Scores `[B, K, h, w]`."""
        return torch.stack([part(m) for part, m in zip(self.parts, maps, strict=True)]).sum(0)


def fit(
    head: nn.Module, loss: Callable[[list[int]], Tensor], images: int, steps: int,
    rate: float = RATE,
) -> None:  # fmt: skip
    """AdamW along a half cosine, on batches that go through the images in a new order each epoch.

    Args:
        head: What is trained.
        loss: Of the images of these indices.
        images: How many there are.
        steps: How many to make.
        rate: The learning rate at the start.
    """
    optimizer = torch.optim.AdamW(head.parameters(), lr=rate, weight_decay=DECAY)
    order: list[int] = []
    head.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 + cos(pi * step / steps)) / 2
        if len(order) < min(BATCH, images):
            order = torch.randperm(images).tolist()
        wanted, order = order[:BATCH], order[BATCH:]
        optimizer.zero_grad()
        loss(wanted).backward()
        optimizer.step()
    head.eval()


def segment(
    features: Features, train: Sequence[tuple[Path, Path]], val: Sequence[Path],
    classes: int, steps: int, seed: int,
) -> list[Tensor]:  # fmt: skip
    """Trains a dense linear head, and segments images.

    Args:
        features: The frozen network.
        train: Images and their maps; values from `classes` on do not count.
        val: Images to segment.
        classes: How many.
        steps: Optimizer steps.
        seed: Of the head and of the order.

    Returns:
        Scores `[K, H, W]` on each image's own pixels.
    """
    torch.manual_seed(seed)
    _, maps = features([image for image, _ in train])
    cells = maps[0].shape[-1] * 2
    wanted = torch.stack([_map(features, file, classes, cells) for _, file in train])
    head = Dense([one.shape[1] for one in maps], classes)

    def loss(batch: list[int]) -> Tensor:
        scores = head([one[batch] for one in maps])
        scores = F.interpolate(scores, (cells, cells), mode="bilinear")
        return F.cross_entropy(scores, wanted[batch], ignore_index=-1)

    fit(head, loss, len(train), steps)
    _, seen = features(val)
    with torch.no_grad():
        scores = head(seen)
    return [_back(features, file, one) for file, one in zip(val, scores, strict=True)]


def _map(features: Features, file: Path, classes: int, cells: int) -> Tensor:
    """A map of classes on the canvas, at so many places a side; -1 where nothing counts."""
    image = _load(file)
    width, height = features.size(image)
    small = torch.from_numpy(np.array(image.resize((width, height), Image.Resampling.NEAREST)))
    canvas = torch.full((features.side, features.side), -1)
    canvas[:height, :width] = small.long()
    canvas[canvas >= classes] = -1
    return F.interpolate(canvas[None, None].float(), (cells, cells), mode="nearest-exact")[
        0, 0
    ].long()


def _back(features: Features, file: Path, scores: Tensor) -> Tensor:
    """Scores on the canvas `[K, h, w]` as scores on the image's pixels `[K, H, W]`."""
    image = _load(file)
    width, height = features.size(image)
    canvas = F.interpolate(scores[None], (features.side, features.side), mode="bilinear")
    inside = canvas[:, :, :height, :width]
    return F.interpolate(inside, (image.height, image.width), mode="bilinear")[0]


def classify(
    features: Features, train: Sequence[tuple[Path, int]], val: Sequence[Path],
    classes: int, steps: int, seed: int,
) -> Tensor:  # fmt: skip
    """Trains a linear classifier on the last class token and the last map averaged.

    Args:
        features: The frozen network.
        train: Images and their classes.
        val: Images to classify.
        classes: How many.
        steps: Optimizer steps.
        seed: Of the head and of the order.

    Returns:
        Scores `[N, K]`.
    """
    torch.manual_seed(seed)
    x = _pooled(features, [image for image, _ in train])
    wanted = torch.tensor([label for _, label in train])
    head = nn.Sequential(nn.BatchNorm1d(x.shape[1], affine=False), nn.Linear(x.shape[1], classes))
    fit(head, lambda batch: F.cross_entropy(head(x[batch]), wanted[batch]), len(train), steps)
    with torch.no_grad():
        return head(_pooled(features, val))


def _pooled(features: Features, files: Sequence[Path]) -> Tensor:
    token, maps = features(files)
    return torch.cat([token, maps[-1].mean((2, 3))], 1)


class Pyramid(nn.Module):
    """Maps of one stride of 16 pixels as maps of strides 8 to 64.

    Args:
        channels: Of each map.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.out_channels = WIDTH  # torchvision's detectors look for it
        self.entries = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(c), nn.Conv2d(c, WIDTH, 1)) for c in channels
        )
        self.ends = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in STRIDES)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """A map `[B, 96, h, w]` a stride; they cover whole cells of 64 pixels."""
        x = torch.stack([e(m) for e, m in zip(self.entries, maps, strict=True)]).sum(0)
        right, bottom = -x.shape[-1] % 4, -x.shape[-2] % 4
        x = F.pad(x, (0, right, 0, bottom), mode="replicate")
        scaled = [F.interpolate(x, scale_factor=2, mode="bilinear"), x]
        for _ in STRIDES[2:]:
            scaled.append(F.avg_pool2d(scaled[-1], 2))
        return [end(one) for end, one in zip(self.ends, scaled, strict=True)]


class Detector(nn.Module):
    """torchvision's FCOS on maps instead of images.

    Args:
        channels: Of each map.
        classes: How many.
        side: Of the square canvas, in pixels.
    """

    def __init__(self, channels: Sequence[int], classes: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.fcos = FCOS(
            Pyramid(channels),
            classes,
            anchor_generator=AnchorGenerator(tuple((s,) for s in STRIDES), ((1.0,),) * 4),
            head=FCOSHead(WIDTH, 1, classes, DEPTH),
            score_thresh=0.05,
        )

    def _outputs(self, maps: Sequence[Tensor]) -> tuple[dict[str, Tensor], list[Tensor], list[int]]:
        pyramid = self.fcos.backbone(maps)
        number, area = len(maps[0]), pyramid[-1].shape[-1] * STRIDES[-1]
        # Canvases as torchvision's detectors take them; the pixels are not read.
        images = ImageList(torch.empty(number, 3, area, area), [(self.side, self.side)] * number)
        anchors = self.fcos.anchor_generator(images, pyramid)
        return self.fcos.head(pyramid), anchors, [m.shape[-2] * m.shape[-1] for m in pyramid]

    def loss(self, maps: Sequence[Tensor], wanted: list[dict[str, Tensor]]) -> Tensor:
        """FCOS's losses, summed."""
        outputs, anchors, cells = self._outputs(maps)
        losses = self.fcos.compute_loss(wanted, outputs, anchors, cells)
        return torch.stack(list(losses.values())).sum()

    def forward(self, maps: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        """`boxes`, `scores` and `labels` an image, in pixels of the canvas."""
        outputs, anchors, cells = self._outputs(maps)
        by_stride = {name: list(one.split(cells, 1)) for name, one in outputs.items()}
        places = [list(one.split(cells)) for one in anchors]
        return self.fcos.postprocess_detections(
            by_stride, places, [(self.side, self.side)] * len(maps[0])
        )


def detect(
    features: Features, train: Sequence[tuple[Path, Tensor, Tensor]], val: Sequence[Path],
    classes: int, steps: int, seed: int,
) -> list[dict[str, Tensor]]:  # fmt: skip
    """Trains a detector, and finds objects in images.

    Args:
        features: The frozen network.
        train: Images, each with its boxes `[N, 4]` (xyxy) in the image's pixels, and their classes.
        val: Images to look at.
        classes: How many.
        steps: Optimizer steps.
        seed: Of the head and of the order.

    Returns:
        `boxes`, `scores` and `labels` an image, in the image's own pixels.
    """
    torch.manual_seed(seed)
    _, maps = features([image for image, _, _ in train])
    wanted = [
        {"boxes": boxes / _pixel(features, file), "labels": labels} for file, boxes, labels in train
    ]
    head = Detector([one.shape[1] for one in maps], classes, features.side)

    def loss(batch: list[int]) -> Tensor:
        return head.loss([one[batch] for one in maps], [wanted[index] for index in batch])

    fit(head, loss, len(train), steps, FCOS_RATE)
    _, seen = features(val)
    found: list[dict[str, Tensor]] = []
    for index, file in enumerate(val):
        with torch.no_grad():
            (one,) = head([maps[index : index + 1] for maps in seen])
        found.append({**one, "boxes": one["boxes"] * _pixel(features, file)})
    return found


def _pixel(features: Features, file: Path) -> Tensor:
    """How many of the image's pixels one of the canvas is: x, y, x, y."""
    with Image.open(file) as image:
        width, height = features.size(image)
        return torch.tensor([image.width / width, image.height / height]).repeat(2)
