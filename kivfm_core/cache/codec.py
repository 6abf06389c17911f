"""Converts the outputs of a source to records of bytes, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod

import torch
from torch import Tensor

from kivfm_core.aligners.sums import Sums, moments
from kivfm_core.aligners.targets import Fit, from_latent, into_latent, principal
from kivfm_core.cache.encoding import Encoding, Layout

# Mean `[C]`, standard deviation `[C]` and axes `[C, K]` of levels, by name.
Maps = Mapping[str, Fit]


class Codec:
    """Writes batches as records, and reads them back.

    Args:
        encoding: The encoding.
        device: Device of decoded batches.

    Attributes:
        maps: Of the levels that are stored in fewer coordinates, on the device; to be set before
            the first use.
    """

    def __init__(self, encoding: Encoding, device: torch.device) -> None:
        self.encoding, self.device = encoding, device
        self.maps: Maps = {}

    @property
    def ready(self) -> bool:
        """Whether it has the maps that it needs."""
        return self.maps.keys() == self.encoding.latent.keys()

    def fit(self, batches: Iterable[Mapping[str, Tensor]]) -> Maps:
        """Maps for outputs such as these, float32 on the CPU: principal axes, as aligners have."""
        sums: dict[str, Sums] = {}
        for batch in batches:
            for name in self.encoding.latent:
                sums.setdefault(name, Sums(batch[name].shape[1])).add(batch[name])
        maps: dict[str, Fit] = {}
        for name, s in sums.items():
            mean, std, axes = principal(
                *moments(s.count, s.total, s.outer), self.encoding.latent[name]
            )
            maps[name] = mean.float(), std.float(), axes.float()
        return maps

    def encode(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Encodes a batch `{name: [B, ...]}` as records `[B, bytes]`, uint8.

        Values that are not finite decode to values that are not finite. An integer cannot express
        this, but its channel's scale does.
        """
        sizes = [self.encoding.bytes(name, tuple(t.shape[1:])) for name, t in outputs.items()]
        first = next(iter(outputs.values()))
        records = torch.empty(len(first), sum(sizes), dtype=torch.uint8, device=first.device)
        for (name, level), part in zip(outputs.items(), records.split(sizes, 1), strict=True):
            if name in self.maps:
                level = into_latent(level.float(), *self.maps[name])
            self._encode(level, part)
        return records

    def _encode(self, level: Tensor, part: Tensor) -> None:
        """Writes a batch into its part `[B, bytes]` of the records."""
        dtype, start = getattr(torch, self.encoding.dtype), 0
        flat = level.flatten(1)
        if dtype == torch.int8 and level.ndim > 2:
            rows = level.float().flatten(2)
            scales = (rows.abs().amax(2) / 127).to(torch.bfloat16)
            whole = (rows / scales.float().clamp(min=1e-30)[:, :, None]).round()
            flat, start = whole.clamp(-127, 127).flatten(1), 2 * level.shape[1]
            part[:, :start].view(torch.bfloat16).copy_(scales)
        elif dtype == torch.int8:
            dtype = torch.bfloat16
        stop = start + flat.shape[1] * dtype.itemsize
        part[:, start:stop].view(dtype).copy_(flat)
        part[:, stop:] = 0  # padding

    def decode(self, records: Sequence[Tensor] | Tensor, layout: Layout) -> dict[str, Tensor]:
        """Decodes records, `[bytes]` each, to a batch `{name: [B, ...]}`, float32."""
        if self.device.type != "cpu":
            records = self._send(records)
        outputs: dict[str, Tensor] = {}
        start = 0
        for name, shape in layout.items():
            stop = start + self.encoding.bytes(name, shape)
            if isinstance(records, Tensor):
                part = records[:, start:stop]
            else:
                part = [record[start:stop] for record in records]
            level = self._decode(part, self.encoding.stored_shape(name, shape))
            if name in self.maps:
                level = from_latent(level, *self.maps[name])
            outputs[name] = level.contiguous()
            start = stop
        return outputs

    def _send(self, records: Sequence[Tensor] | Tensor) -> Tensor:
        """Records as one batch on the device; a GPU copies it while the CPU goes on."""
        if isinstance(records, Tensor):
            return records.to(self.device)
        size, pinned = (len(records), len(records[0])), self.device.type == "cuda"
        batch = torch.empty(size, dtype=torch.uint8, pin_memory=pinned)
        return torch.stack(list(records), out=batch).to(self.device, non_blocking=True)

    def _decode(self, part: Sequence[Tensor] | Tensor, shape: tuple[int, ...]) -> Tensor:
        dtype, channels = getattr(torch, self.encoding.dtype), shape[0]
        if dtype == torch.int8 and len(shape) > 1:
            scales = _numbers(part, 0, torch.bfloat16, (channels,))
            level = _numbers(part, 2 * channels, dtype, shape)
            return level.mul_(scales.view(-1, channels, *(1 for _ in shape[1:])))
        return _numbers(part, 0, torch.bfloat16 if dtype == torch.int8 else dtype, shape)


def _numbers(
    part: Sequence[Tensor] | Tensor, start: int, dtype: torch.dtype, shape: tuple[int, ...]
) -> Tensor:
    """A batch of numbers `[B, *shape]`, float32, read from byte `start` of each record."""
    stop = start + prod(shape) * dtype.itemsize
    if isinstance(part, Tensor):
        return part[:, start:stop].view(dtype).float().view(len(part), *shape)
    # Converts while it copies: half the memory traffic of two steps.
    batch = torch.empty(len(part), prod(shape))
    for to, record in zip(batch, part, strict=True):
        to.copy_(record[start:stop].view(dtype))
    return batch.view(len(part), *shape)
