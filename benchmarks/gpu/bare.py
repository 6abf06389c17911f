"""A plain loop on one batch that is on the device: pictures a second, and operations a picture.

    python -m benchmarks.gpu.bare RUN.TOML DEVICE STEPS eager|compiled online|cached

The last line says both in JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.reuse.loops import Loop
from kivfm_core.config import build_config


def main() -> None:
    """Measures one loop."""
    file, device, steps, mode, answers = sys.argv[1:]
    loop = Loop(build_config(Path(file), {}), device)
    batch = next(loop.batches(0))
    canvas, views = batch.student.to(device), len(batch.student)
    low = torch.autocast(loop.device.type, torch.bfloat16)
    with low:
        said = loop.ask(batch)

    def step() -> None:
        with low:
            loop.learn(canvas, loop.ask(batch) if answers == "online" else said)

    with FlopCounterMode(display=False) as counter:
        step()
    if mode == "compiled":
        for module in (loop.student.trunk, *(t.encoder for t in loop.parts.teachers.values())):
            module.compile()
    for _ in range(3):
        step()
    began = _now(loop.device)
    for _ in range(int(steps)):
        step()
    rate = views * int(steps) / (_now(loop.device) - began)
    facts = {"images_per_second": rate, "gflops": counter.get_total_flops() / views / 1e9}
    print(json.dumps(facts))


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
