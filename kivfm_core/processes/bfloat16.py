"""Whether a device computes in bfloat16, or only imitates it."""

from __future__ import annotations

import torch


def computes_bfloat16(device: torch.device) -> bool:
    """Whether products of bfloat16 matrices are fast.

    A processor without bfloat16 still multiplies such matrices, up to fifty times slower than
    float32.

    Args:
        device: Where the matrices are.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    # By this, PyTorch decides whether its fast library multiplies them.
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return supported is not None and bool(supported())
