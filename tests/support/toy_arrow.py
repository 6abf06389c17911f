"""Small datasets as Hugging Face's `save_to_disk` writes them, without its library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
from toy_tars import picture

IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
POLYGONS = pa.list_(pa.list_(pa.float32()))
BOXES = pa.struct(
    {
        "bbox": pa.list_(pa.list_(pa.float32())),
        "category": pa.list_(pa.int64()),
        "segmentation": pa.list_(POLYGONS),
    }
)
IMAGES = dict.fromkeys(("image", "pixel_values", "annotation"), IMAGE)
TYPES = {**IMAGES, "label": pa.int64(), "objects": BOXES}


def arrow_rows(info: str) -> list[dict[str, Any]]:
    """Three rows with the columns that a `dataset_info.json` names."""
    objects = {
        "bbox": [[1, 1, 2, 2]],
        "category": [1],
        "segmentation": [[[1, 1, 3, 1, 3, 3, 1, 3]]],
    }
    values = {"label": 1, "objects": objects, "annotation": picture(1)}
    names = json.loads(info)["features"]
    return [{name: values.get(name, picture(50 + i)) for name in names} for i in range(3)]


def write_arrow(file: Path, rows: list[dict[str, Any]], types: dict[str, Any] = TYPES) -> Path:
    """Writes rows, two a batch; images are bytes or None."""
    schema = pa.schema({name: types[name] for name in rows[0]})
    with pa.ipc.new_stream(str(file), schema) as writer:
        for start in range(0, len(rows), 2):
            part = [dict(row) for row in rows[start : start + 2]]
            for row in part:
                for name in row.keys() & {n for n, kind in types.items() if kind == IMAGE}:
                    row[name] = {"bytes": row[name], "path": "a.png"}
            writer.write_batch(pa.RecordBatch.from_pylist(part, schema))
    return file


def save_to_disk(
    folder: Path, features: dict[str, Any], rows: list[dict[str, Any]], **more
) -> Path:
    """Writes a split; `more` is of `write_arrow`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_arrow(folder / "data-0.arrow", rows, **more)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-0.arrow"}]}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    return folder
