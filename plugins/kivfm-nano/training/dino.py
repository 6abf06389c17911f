"""Train dino/nano without labels: two views of a place agree, and differ from all others.

Contrast (SimCLR) of pooled tokens, with other places of the same image among the negatives and
with foreign surroundings pasted in, so that backgrounds do not give a place away; and of patch
tokens that show the same spot (DenseCL). Places that stand out are looked at more often.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.data.canvas import make_canvases, normalize
from kivfm_core.spec import TeacherSpec
from kivfm_nano.dino import encoder
from training.common import fit, get_spec, save, start
from training.places import couples
from training.pool import load_pool

# Images a domain that the last map is fitted to.
WHOLE = 300


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
    """Fit the last map of `global` to whole images: half-way to equal variances."""
    images = [sample.image for samples in load_pool().values() for sample in samples[:WHOLE]]
    found = []
    for first in range(0, len(images), 50):
        canvases, _ = make_canvases(images[first : first + 50], spec.input)
        found.append(net(normalize(canvases, spec.input))["global"])
    x = torch.cat(found)
    values, vectors = torch.linalg.eigh(x.T.cov())
    net.whiten.weight.copy_(vectors.T / (values.clamp(min=0)[:, None] + 1e-6) ** 0.25)
    net.whiten.bias.copy_(-net.whiten.weight @ x.mean(0))


def main() -> None:
    """Train and save."""
    options = start("dino", steps=700)
    spec = get_spec("dino/nano")
    width = spec.level("global").channels
    net = nn.ModuleDict(
        {"encoder": encoder(spec), "place": projector(width), "spot": projector(width)}
    )
    nn.init.eye_(net["encoder"].whiten.weight)
    nn.init.zeros_(net["encoder"].whiten.bias)
    net["encoder"].whiten.requires_grad_(False)
    batches = couples(spec, options)

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
    save(options.out, encoder=net["encoder"])


if __name__ == "__main__":
    main()
