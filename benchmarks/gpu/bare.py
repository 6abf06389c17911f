"""Plain loops on one batch that is on the device: pictures a second, and operations a picture.

    python -m benchmarks.gpu.bare RUN.TOML DEVICE STEPS eager|compiled [PROFILE]

The last line says it all in JSON. Where the time of an online step goes, kernel by kernel,
is written to the file PROFILE.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.reuse.loops import Loop
from kivfm_core.config import build_config


def main() -> None:
    """Measures two loops: teachers asked online, and only once."""
    file, device, steps, mode, *report = sys.argv[1:]
    loop = Loop(build_config(Path(file), {}), device)
    batch = next(loop.batches(0))
    batch = replace(batch, teachers=[canvas.to(device) for canvas in batch.teachers])
    canvas = batch.student.to(device)
    low = torch.autocast(loop.device.type, torch.bfloat16)
    with low:
        said = loop.ask(batch)

    def online() -> None:
        with low:
            loop.learn(canvas, loop.ask(batch))

    def cached() -> None:
        with low:
            loop.learn(canvas, said)

    loops = {"online": online, "cached": cached}
    operations: dict[str, float] = {}
    for answers, step in loops.items():
        with FlopCounterMode(display=False) as counter:
            step()
        operations[answers] = counter.get_total_flops() / len(canvas) / 1e9
    if mode == "compiled":
        for module in (loop.module, *(t.encoder for t in loop.parts.teachers.values())):
            module.compile()
    found: list[dict[str, object]] = []
    for answers, step in loops.items():
        for _ in range(3):
            step()
        began = _now(loop.device)
        for _ in range(int(steps)):
            step()
        rate = len(canvas) * int(steps) / (_now(loop.device) - began)
        row = {"answers": answers, "images_per_second": rate}
        found.append({**row, "gflops": operations[answers]})
    if report:
        kinds = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
        with profile(activities=kinds if loop.device.type == "cuda" else kinds[:1]) as seen:
            for _ in range(3):
                online()
        by = "self_cuda_time_total" if loop.device.type == "cuda" else "self_cpu_time_total"
        Path(report[0]).write_text(seen.key_averages().table(sort_by=by, row_limit=30))
    print(json.dumps(found))


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
