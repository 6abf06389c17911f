"""Train detector/nano: FCOS's losses and a mask head on true boxes; mostly paintings."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import generalized_box_iou_loss, masks_to_boxes, roi_align, sigmoid_focal_loss

from kivfm_core.scenes import CATEGORIES
from kivfm_nano.detector import STRIDES, Decoder, decoder, encoder
from training.common import fit, get_spec, save, start, views
from training.pool import Sample

# Objects whose longer side is less, in canvas pixels, belong to `p8`, others to `p16`.
LIMIT = 40.0

# Objects a batch whose masks are learned from.
ROIS = 40


def truth(owners: Tensor, sample: Sample) -> tuple[Tensor, Tensor, Tensor]:
    """Give one image's boxes [N, 4], labels [N], masks [N, S, S]."""
    numbers, counts = owners[owners > 0].unique(return_counts=True)
    numbers = numbers[counts > 40]
    masks = owners == numbers[:, None, None]
    boxes = masks_to_boxes(masks) + torch.tensor([0.0, 0.0, 1.0, 1.0])
    labels = [CATEGORIES.index(sample.words[int(n) - 1][0]) for n in numbers]
    return boxes.view(-1, 4), torch.tensor(labels, dtype=torch.long), masks.float()


def assign(spots: Tensor, boxes: Tensor) -> Tensor:
    """Find which object each place (x, y, stride) predicts: index [n], -1 for none."""
    if not len(boxes):
        return torch.full((len(spots),), -1)
    x, y, stride = spots[:, None].unbind(2)
    x0, y0, x1, y1 = boxes[None].unbind(2)
    cx, cy, reach = (x0 + x1) / 2, (y0 + y1) / 2, 1.5 * stride
    inside = (x > x0) & (x < x1) & (y > y0) & (y < y1)
    near = ((x - cx).abs() < reach) & ((y - cy).abs() < reach)
    side = torch.maximum(x1 - x0, y1 - y0)
    fits = (side >= LIMIT) == (stride == STRIDES["p16"])
    area = (x1 - x0) * (y1 - y0)
    cost = area.expand_as(inside).masked_fill(~(inside & near & fits), torch.inf)
    best, index = cost.min(1)
    return index.masked_fill(best.isinf(), -1)


def centeredness(spots: Tensor, boxes: Tensor) -> Tensor:
    """How far in the middle of its box [N, 4] a place [N, 3] lies, in [0, 1]."""
    x, y, _ = spots.unbind(1)
    x0, y0, x1, y1 = boxes.unbind(1)
    left, right, up, down = x - x0, x1 - x, y - y0, y1 - y
    across = torch.minimum(left, right) / torch.maximum(left, right)
    along = torch.minimum(up, down) / torch.maximum(up, down)
    return (across * along).clamp(min=0).sqrt()


def label_loss(
    decoder: Decoder, levels: Mapping[str, Tensor], owners: Tensor, samples: Sequence[Sample]
) -> Tensor:
    """How wrong a decoder is of labeled canvases: classes, boxes, centeredness and masks.

    Args:
        decoder: On any device.
        levels: What it reads of the canvases, on its device.
        owners: Number of the object at each pixel [B, S, S], on the CPU.
        samples: Whose canvases they are.
    """
    logits, found, center, spots = decoder.dense(levels)
    spots, there = spots.cpu(), logits.device  # what is true is worked out on the CPU
    truths = [truth(o, s) for o, s in zip(owners, samples, strict=True)]
    index = torch.stack([assign(spots, boxes) for boxes, _, _ in truths])
    image, place = (index >= 0).nonzero(as_tuple=True)
    offsets = torch.tensor([0, *(len(b) for b, _, _ in truths)]).cumsum(0)[:-1]
    boxes, labels, masks = (torch.cat(parts) for parts in zip(*truths, strict=True))
    target = index[image, place] + offsets[image]
    owner = torch.cat([torch.full((len(b),), i) for i, (b, _, _) in enumerate(truths)])
    classes = torch.zeros(logits.shape)
    classes[image, place, labels[target]] = 1
    count = max(1, len(target))
    focal = sigmoid_focal_loss(logits, classes.to(there), reduction="sum") / count
    meant = boxes[target].to(there)
    box = generalized_box_iou_loss(found[image, place], meant, reduction="mean")
    middle = centeredness(spots[place], boxes[target]).to(there)
    mid = F.binary_cross_entropy_with_logits(center[image, place], middle)
    some = torch.randperm(len(boxes))[:ROIS].sort().values
    shaken = boxes[some] + 2 * torch.randn(len(some), 4)
    inside = torch.cat((owner[some, None], shaken), dim=1)
    drawn = decoder.mask_logits(levels["p8"], inside.to(there))
    numbered = torch.cat((some[:, None], shaken), dim=1)
    wanted = roi_align(masks[:, None], numbered, 28, 1.0, 2, aligned=True)[:, 0]
    return focal + box + mid + F.binary_cross_entropy_with_logits(drawn, wanted.to(there))


def main() -> None:
    """Train and save."""
    options = start("detector", steps=1600)
    spec = get_spec("detector/nano")
    net = nn.ModuleDict({"encoder": encoder(spec), "decoder": decoder(spec)})
    net.to(memory_format=torch.channels_last)
    batches = views(spec, options, batch=24)

    def loss(step: int) -> Tensor:
        x, owners, samples = next(batches)
        return label_loss(net["decoder"], net["encoder"](x), owners, samples)

    fit(net, loss, options.steps)
    save(options.out, **net)


if __name__ == "__main__":
    main()
