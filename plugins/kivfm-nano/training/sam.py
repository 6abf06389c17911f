"""Train sam/nano: click at random inside objects; mostly night images."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_nano.sam import decoder, encoder
from training.common import fit, get_spec, save, start, views


def clicks(owners: Tensor, each: int) -> tuple[Tensor, Tensor, Tensor]:
    """Click on objects.

    Args:
        owners: [B, S, S].
        each: Clicks an image at most.

    Returns:
        Image of each click [N], points (x, y) [N, 2], true masks [N, S, S].
    """
    owner, points, masks = [], [], []
    for i, owner_map in enumerate(owners):
        numbers, counts = owner_map[owner_map > 0].unique(return_counts=True)
        numbers = numbers[counts > 30]
        for number in numbers[torch.randperm(len(numbers))[:each]]:
            mask = owner_map == number
            spots = mask.nonzero()
            y, x = spots[torch.randint(len(spots), ())].tolist()
            owner.append(i)
            points.append((x + 0.5, y + 0.5))
            masks.append(mask)
    return torch.tensor(owner), torch.tensor(points), torch.stack(masks).float()


def main() -> None:
    """Train and save."""
    options = start("sam", steps=1200)
    spec = get_spec("sam/nano")
    net = nn.ModuleDict({"encoder": encoder(spec), "decoder": decoder(spec)})
    net.to(memory_format=torch.channels_last)
    batches = views(spec, options, batch=24)

    def loss(step: int) -> Tensor:
        x, owners, _ = next(batches)
        owner, points, masks = clicks(owners, each=2)
        logits = net["decoder"].click_logits(net["encoder"](x)["dense"], owner, points)
        target = F.avg_pool2d(masks[:, None], 4)[:, 0]
        inside = logits.sigmoid()
        overlap = (inside * target).sum((1, 2))
        dice = 1 - (2 * overlap + 1) / (inside.sum((1, 2)) + target.sum((1, 2)) + 1)
        return 5 * F.binary_cross_entropy_with_logits(logits, target) + dice.mean()

    fit(net, loss, options.steps)
    save(options.out, **net)


if __name__ == "__main__":
    main()
