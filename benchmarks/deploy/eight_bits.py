"""What tasks lose in eight bits: scores by PyTorch, by ONNX in full precision, and in eight bits.

    python -m benchmarks.deploy.eight_bits [--images 150] [--per-class 64]

`kivfm export --data` for three nano teachers, on held-out drawn scenes; ranges are taken from 64
other scenes. Exit code 1 if full precision is more than 0.002 off, or eight bits keep less than
0.98 of a score.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common import machine, table, write_results
from kivfm_core.exports.export import export
from kivfm_core.exports.form import KEEP
from kivfm_core.exports.score import TOLERANCE
from kivfm_core.scenes.write import write_scenes

# Teacher, task, and the folder of `scenes/val` that it is measured on.
MEASURED = (
    ("detector/nano", "detection", "."),
    ("detector/nano", "instance-segmentation", "."),
    ("segmenter/nano", "semantic-segmentation", "."),
    ("sam/nano", "promptable-segmentation", "."),
    ("clip/nano", "zero-shot", "classes"),
)


def main() -> int:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.deploy.eight_bits", description=__doc__
    )
    parser.add_argument("--images", type=int, default=150)
    parser.add_argument("--per-class", type=int, default=64)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    with TemporaryDirectory() as folder:
        scenes = Path(folder) / "scenes"
        write_scenes(scenes, train=64, val=args.images, per_class=args.per_class)
        rows = [_measure(*one, Path(folder), scenes) for one in MEASURED]
    print(write_results("deploy.eight_bits", {"machine": machine(), "rows": rows}, page))
    return int(not all(_holds(row) for row in rows))


def _measure(teacher: str, task: str, part: str, folder: Path, scenes: Path) -> dict[str, Any]:
    """The scores of one task, and the files' bytes."""
    data = scenes / "val" / part
    labels = sorted(one.name for one in data.iterdir()) if task == "zero-shot" else None
    row: dict[str, Any] = {"teacher": teacher, "task": task}
    int8: Any = {"quantize": "int8", "calibration": scenes / "train"}
    for bits, more in (("full", {}), ("eight", int8)):
        wishes: Any = {"data": str(data), "keep": 0.0, **more}
        done = export(teacher, "onnx", folder / f"{bits}.onnx", task=task, labels=labels, **wishes)
        assert done.scores is not None
        row |= {"metric": done.scores.metric, "images": done.scores.images}
        row |= {"pytorch": done.scores.pytorch, bits: done.scores.export}
        row[f"bytes_{bits}"] = done.file.stat().st_size
    print({key: round(x, 4) if isinstance(x, float) else x for key, x in row.items()}, flush=True)
    return row


def _holds(row: Mapping[str, Any]) -> bool:
    exact = abs(row["full"] - row["pytorch"]) <= TOLERANCE
    return exact and row["eight"] >= KEEP * row["pytorch"]


def page(record: Mapping[str, Any]) -> list[str]:
    """The table."""
    rows = [
        [
            f"{row['teacher']}, {row['task']}, {row['metric']}",
            str(row["images"]),
            *(f"{row[key]:.4f}" for key in ("pytorch", "full", "eight")),
            f"{row['eight'] / row['pytorch']:.3f}",
            *(f"{row[key] / 2**20:.1f}" for key in ("bytes_full", "bytes_eight")),
        ]
        for row in record["rows"]
    ]
    heads = "what | images | PyTorch | ONNX | eight bits | kept | MiB | MiB in eight bits"
    return [
        "# Eight bits",
        "",
        "Scores of nano teachers on held-out drawn scenes, on the canvases of the exports.",
        "",
        *table(heads, rows),
    ]


if __name__ == "__main__":
    sys.exit(main())
