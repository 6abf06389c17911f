"""What tasks score by exports, beside PyTorch: real teachers, and a student with their decoders.

    python -m benchmarks.deploy.scores [--assets ../shared/assets] [--run RUN] [--limit N]

`kivfm export --data` of every task of the three real teachers, and of the stand-ins of a run, as
ONNX and by torch.export, on labeled photos of the assets. Exit code 1 if a score is more than
0.002 off.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common import machine, table, write_results
from benchmarks.real.commands import TEACHERS, parser
from kivfm_core.exports.export import export
from kivfm_core.exports.formats import FORMATS
from kivfm_core.exports.program import task_program
from kivfm_core.exports.score import TOLERANCE, score
from kivfm_core.models.model import Model
from kivfm_core.models.open import open_model
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task

# In which a score is measured.
SCORED = [name for name, kind in FORMATS.items() if kind.start]
# What each task is measured on, in the assets' `data/`.
DATA = {
    "classification": "imagenet_photos",
    "detection": "coco_val",
    "semantic-segmentation": "coco_val",
}


def main() -> int:
    """Measures, prints and writes the table."""
    known = parser("benchmarks.deploy.scores", __doc__)
    known.add_argument("--run", type=Path, help="a student's, too")
    args = known.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    models = {
        name: open_model(name, "cpu", args.assets / "weights" / file)
        for name, file in TEACHERS.items()
    }
    if args.run:
        models[f"student {args.run.name}"] = open_model(args.run, "cpu")
    rows = [
        row
        for name, model in models.items()
        for row in _measure(name, model, args.assets / "data", args.limit)
    ]
    print(write_results("deploy.scores", {"machine": machine(), "rows": rows}, page))
    return int(any(abs(row[form] - row["pytorch"]) > TOLERANCE for row in rows for form in SCORED))


def _measure(name: str, model: Model, data: Path, limit: int | None) -> Iterator[dict[str, Any]]:
    """A row for each task of a teacher or of a student's stand-ins that there is data for."""
    for spec in model.specs:
        for task in (one.task for one in spec.tasks if one.task in DATA):
            program = task_program(model, spec.name, find_task(task), {})
            row: dict[str, Any] = {"model": name, "teacher": spec.name, "task": task}
            with TemporaryDirectory() as folder:
                for form in SCORED:
                    file = Path(folder) / f"model{FORMATS[form].suffix}"
                    export(model, form, file, task=task, teacher=spec.name)
                    run = resolve_reference(FORMATS[form].start)(file)
                    found = score(program, run, str(data / DATA[task]), limit)
                    row |= {"metric": found.metric, "images": found.images}
                    row |= {"pytorch": found.pytorch, form: found.export}
            print(row, flush=True)
            yield row


def page(record: Mapping[str, Any]) -> list[str]:
    """The table."""
    rows = [
        [
            row["model"] if row["model"] == row["teacher"] else f"{row['model']}, {row['teacher']}",
            f"{row['task']}, {row['metric']}",
            str(row["images"]),
            *(f"{row[key]:.4f}" for key in ("pytorch", *SCORED)),
        ]
        for row in record["rows"]
    ]
    worst = max(abs(row[form] - row["pytorch"]) for row in record["rows"] for form in SCORED)
    return [
        "# Scores of exports",
        "",
        "Labeled photos, on the canvases of the exports.",
        "",
        *table(f"model | task | images | PyTorch | {' | '.join(SCORED)}", rows),
        "",
        f"The farthest is {worst:.4f} off (bar: at most {TOLERANCE}).",
        "",
    ]


if __name__ == "__main__":
    sys.exit(main())
