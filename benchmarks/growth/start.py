"""What a run does with its images before the first step, in one process.

    python -m benchmarks.growth.start TAR

The last line has in JSON how many there are, the seconds that it took, and memory in MiB: before,
and at most.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from lightning_fabric import Fabric

from benchmarks.common import NANO
from kivfm_core.composition.compose import compose
from kivfm_core.config import build_config
from kivfm_core.data.unlabeled import find_images
from kivfm_core.distillation.inputs.frozen_networks import LoadedNetworks
from kivfm_core.distillation.inputs.stream import Stream


def main() -> None:
    """Lists the images and draws the first batch."""
    path = sys.argv[1]
    flags = {"teachers": NANO, "data.path": path, "engine.precision": "32-true"}
    config = build_config(None, flags)
    composition, fabric = compose(config), Fabric(devices=1)
    before, began = _forget_peak(), time.perf_counter()
    images = find_images(Path(path))
    stream = Stream(
        config, composition, LoadedNetworks({}, None, {}), images, fabric, lambda _: None
    )
    stream.image_names(0)
    seconds = time.perf_counter() - began
    facts = {"images": len(images), "seconds": seconds, "before": before, "most": _memory()}
    print(json.dumps(facts))


def _memory() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(peak) / 1024


def _forget_peak() -> float:
    """Counts the peak anew; imports had one of their own."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory()


if __name__ == "__main__":
    main()
