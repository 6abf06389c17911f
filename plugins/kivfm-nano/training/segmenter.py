"""Train segmenter/nano: cross entropy at every place; mostly paper cutouts."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.scenes import CATEGORIES
from kivfm_nano.segmenter import Decoder, decoder, encoder
from training.common import fit, get_spec, save, start, views
from training.pool import Sample


def classes(owners: Tensor, samples: Sequence[Sample]) -> Tensor:
    """Turn owners [B, S, S] into classes, 0 for the background."""
    tables = torch.zeros(len(samples), 16, dtype=torch.long)
    for table, sample in zip(tables, samples, strict=True):
        for number, (category, _, _) in enumerate(sample.words, 1):
            table[number] = CATEGORIES.index(category) + 1
    return tables.gather(1, owners.flatten(1)).view_as(owners)


def label_loss(
    decoder: Decoder, levels: Mapping[str, Tensor], owners: Tensor, samples: Sequence[Sample]
) -> Tensor:
    """How wrong a decoder is of labeled canvases.

    Args:
        decoder: On any device.
        levels: What it reads of the canvases, on its device.
        owners: Number of the object at each pixel [B, S, S], on the CPU.
        samples: Whose canvases they are.
    """
    logits = decoder(levels).logits
    target = classes(owners, samples).to(logits.device)
    return F.cross_entropy(F.interpolate(logits, target.shape[1:], mode="bilinear"), target)


def main() -> None:
    """Train and save."""
    options = start("segmenter", steps=1500)
    spec = get_spec("segmenter/nano")
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
