"""Linear segmentation: a norm and a 1x1 convolution on the frozen dense map.

As DINOv2's linear evaluation (https://arxiv.org/abs/2304.07193): batch norm, AdamW at 1e-3, batches
of 16, a linear warmup and decay. The maps are computed once, on the whole image stretched to a
square, where the papers crop and flip anew and slide a window over val.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from timm.layers import LayerNorm2d  # pyright: ignore[reportPrivateImportUsage]
from torch import Tensor, nn

from kivfm_core.errors import KivfmError, UsageError, is_out_of_memory, one_line
from kivfm_core.evaluation.bootstrap import interval, resample
from kivfm_core.geometry import Frame, plan_frame
from kivfm_core.loaded.store import FeatureStore
from kivfm_core.predictions import SemanticLogits
from kivfm_core.probing.bench import Bench
from kivfm_core.probing.protocol import Norm
from kivfm_core.probing.result import ProbeRow
from kivfm_core.progress import stage
from kivfm_core.registry.registry import find_task
from kivfm_core.spec import InputContract
from kivfm_core.tasks.meters.semantic_segmentation import ClassMaps, SemanticSegmentation
from kivfm_core.teacher import Encoder, Levels

RATE, DECAY, BATCH = 1e-3, 1e-4, 16
# As many passes as 40,000 steps are over ADE20K; of few images, at least so many steps.
EPOCHS, LEAST_STEPS = 32, 500
# The share of the steps in which the learning rate rises.
WARMUP = 1500 / 40000
TASK = "semantic-segmentation"


class OnCanvas:
    """An encoder on other canvases than its own: squares onto which images are stretched.

    Args:
        encoder: The encoder.
        size: Side in pixels, rounded up to what the encoder takes.
    """

    def __init__(self, encoder: Encoder, size: int) -> None:
        own = encoder.spec.input
        self.side = -(-size // own.multiple) * own.multiple
        shape = {"policy": "stretch", "size": self.side, "resize": None, "max_size": None}
        contract = InputContract.model_validate(own.model_dump() | shape | {"train_sizes": ()})
        self.model, self.spec = encoder, encoder.spec.model_copy(update={"input": contract})

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        """The levels of its canvases.

        Raises:
            UsageError: If the network takes no canvas of this size.
        """
        try:
            return self.model.encode(images, frames)
        except KivfmError:
            raise
        except Exception as error:  # networks refuse sizes in many ways
            if is_out_of_memory(error):
                raise
            own = self.model.spec.input.size
            raise UsageError(
                f"{self.spec.name} sees no canvas of {self.side} pixels: {one_line(error)}",
                f"its own: --size {own}",
            ) from error


def run(bench: Bench) -> list[ProbeRow]:
    """Trains a head on train's maps, and scores it on val by mean IoU in original pixels.

    Raises:
        UsageError: If the model has no dense map, or takes no canvas of this size.
        DataError: If a source has no maps of classes.
    """
    level = bench.dense_level
    if level is None:
        raise UsageError(f"{bench.model.name} has no dense map", "another protocol, such as knn")
    data = {part: cast(ClassMaps, own) for part, own in bench.labeled(find_task(TASK)).items()}
    encoder = OnCanvas(bench.seen.encoder, bench.settings.size)
    train = _maps(bench, encoder, level, data["train"].paths)
    val = _maps(bench, encoder, level, data["val"].paths)
    head = _train(bench, data["train"], train, encoder.side)
    meter = SemanticSegmentation(data["val"], data["train"].classes)
    _score(bench, head, meter, val, encoder.spec.input)
    score, chance = meter.compute(), meter.chance()
    (drawn,) = resample([meter], val.images, len(data["val"].paths))
    for note in meter.notes():
        bench.note(f"{bench.source('val')}: {note}")
    steps, read = _steps(bench, train), len(train.images) + len(val.images)
    row = ProbeRow(
        protocol="dense-linear",
        metric="mIoU",
        features=level,
        score=score,
        interval=interval(drawn, score),
        chance=chance.score if chance else None,
        train_images=len(train.images),
        images=len(val.images),
        bad=sum(len(own.paths) for own in data.values()) - read,
        settings={"size": encoder.side, "norm": bench.settings.norm, "steps": steps},
    )
    return [row]


def _score(
    bench: Bench,
    head: nn.Module,
    meter: SemanticSegmentation,
    val: FeatureStore,
    contract: InputContract,
) -> None:
    """Gives a head's predictions for all of val to the meter."""
    images, tick = val.images, stage(bench.progress, "dense-linear: val")
    with torch.no_grad():
        for start in range(0, len(images), BATCH):
            index = images[start : start + BATCH]
            logits = head(val.rows("map", index).float().to(bench.model.device)).cpu()
            sizes = val.rows("size", index).tolist()
            frames = [plan_frame((height, width), contract) for height, width in sizes]
            meter.update(SemanticLogits(logits), index, frames)
            tick(start + len(index), len(images))


def _maps(bench: Bench, encoder: Encoder, level: str, paths: Sequence[Path]) -> FeatureStore:
    """The dense maps of images, rounded as a run's cache rounds them, and the images' sizes."""

    def read(levels: Levels, frames: Sequence[Frame]) -> dict[str, Tensor]:
        sizes = torch.tensor([frame.original for frame in frames])
        return {"map": levels[level].to(torch.bfloat16), "size": sizes}

    return bench.features("maps", encoder, paths, read)


def _steps(bench: Bench, train: FeatureStore) -> int:
    return bench.settings.steps or max(LEAST_STEPS, EPOCHS * len(train.images) // BATCH)


def make_head(channels: int, classes: int, norm: Norm) -> nn.Module:
    """The head: from maps `[B, C, h, w]` to scores `[B, K, h, w]`; always the same at first."""
    classifier = nn.Conv2d(channels, classes, 1)
    weight = torch.randn(classes, channels, 1, 1, generator=torch.Generator().manual_seed(0))
    classifier.load_state_dict({"weight": 0.01 * weight, "bias": torch.zeros(classes)})
    first = nn.BatchNorm2d(channels) if norm == "batch" else LayerNorm2d(channels)
    return nn.Sequential(first, classifier)


def _train(bench: Bench, data: ClassMaps, maps: FeatureStore, side: int) -> nn.Module:
    """A trained head, in evaluation mode, where the model computes."""
    device, images = bench.model.device, torch.tensor(maps.images)
    channels = maps.rows("map", maps.images[:1]).shape[1]
    head = make_head(channels, len(data.classes), bench.settings.norm).to(device)
    optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=DECAY)
    steps, size = _steps(bench, maps), min(BATCH, len(images))
    tick = stage(bench.progress, "dense-linear: training")
    random, order = torch.Generator().manual_seed(0), torch.empty(0, dtype=torch.long)
    for step in range(steps):
        if len(order) < size:
            order = torch.cat([order, torch.randperm(len(images), generator=random)])
        index, order = images[order[:size]].tolist(), order[size:]
        warm = min(1.0, (step + 1) / max(1.0, WARMUP * steps))
        for group in optimizer.param_groups:
            group["lr"] = RATE * warm * (1 - step / steps)
        targets = torch.stack([_on_canvas(data, image, side) for image in index]).to(device)
        loss = pixel_loss(head(maps.rows("map", index).float().to(device)), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0 or step + 1 == steps:
            tick(step + 1, steps)
    return head.eval()


def _on_canvas(data: ClassMaps, image: int, side: int) -> Tensor:
    """An image's classes on the canvas `[S, S]`, below 0 where none counts."""
    target = torch.from_numpy(data.semantic(image, data.classes))
    one = target[None, None].float()
    return F.interpolate(one, (side, side), mode="nearest-exact")[0, 0].long()


def pixel_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy over the pixels that count; logits are resized to `targets [B, S, S]`."""
    logits = F.interpolate(logits, targets.shape[1:], mode="bilinear", align_corners=False)
    total = F.cross_entropy(logits, targets.clamp(min=-1), ignore_index=-1, reduction="sum")
    return total / (targets >= 0).sum().clamp(min=1)
