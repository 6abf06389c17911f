"""Objects that were found, in the forms of other libraries: COCO's results, and supervision's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from kivfm_core.data.label_spaces import label_names
from kivfm_core.errors import KivfmError, UsageError

Found = Sequence[Mapping[str, Any]]
Names = Sequence[str] | None


def coco_results(
    found: Found,
    masks: Tensor | None,
    names: Names,
    image_id: int | str,
    categories: Mapping[str, int] | None,
) -> list[dict[str, Any]]:
    """Objects as COCO's results.

    Args:
        found: Each with a `box` (xyxy, or None for an empty mask), and `label` and `score` if the
            task has them.
        masks: Bool `[N, H, W]`, or None.
        names: The teacher's classes.
        image_id: The image's id in the data.
        categories: Ids of the categories by name; None for the teacher's own.

    Raises:
        UsageError: If a class is in no category.
    """
    ids = _numbers(_official(names)) if categories is None else categories
    rows: list[dict[str, Any]] = []
    for index, item in enumerate(found):
        x0, y0, x1, y1 = item["box"] or (0.0, 0.0, 0.0, 0.0)
        label = item.get("label")
        if label is not None and label not in ids:
            raise UsageError(f"{label!r} is in no category", f"one of: {', '.join(ids)}")
        row: dict[str, Any] = {
            "image_id": image_id,
            "category_id": 0 if label is None else ids[label],
            "bbox": [round(value, 2) for value in (x0, y0, x1 - x0, y1 - y0)],
            "score": item.get("score", 1.0),
        }
        if masks is not None:
            row["segmentation"] = _run_lengths(masks[index])
        rows.append(row)
    return rows


def supervision_detections(found: Found, masks: Tensor | None, names: Names) -> Any:
    """Objects as `supervision.Detections`.

    Raises:
        KivfmError: If that package is missing.
    """
    try:
        # No part of kivfm: only this needs it.
        import supervision  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise KivfmError("supervision is not installed", "pip install supervision") from error
    numbers, labels = _numbers(names), [item.get("label", "") for item in found]
    boxes = [item["box"] or (0, 0, 0, 0) for item in found]
    return supervision.Detections(
        xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        mask=None if masks is None else masks.numpy(),
        confidence=np.array([item.get("score", 1.0) for item in found], np.float32),
        class_id=np.array([numbers.get(label, 0) for label in labels], int),
        data={"class_name": np.array(labels, str)},
    )


def _official(names: Names) -> Names:
    """COCO's own ids have gaps: a teacher of its 80 classes numbers them without."""
    return label_names("coco-91") if names and tuple(names) == label_names("coco-80") else names


def _numbers(names: Names) -> dict[str, int]:
    """The number of each class by the name that rows have; of equal names, the first."""
    return {name.strip("_"): number for number, name in reversed([*enumerate(names or ())])}


def _run_lengths(mask: Tensor) -> dict[str, Any]:
    # Takes a while to import, and only this needs it.
    from faster_coco_eval.core import mask as codec

    runs: Any = codec.encode(np.asfortranarray(mask.numpy().astype(np.uint8)[..., None]))
    return {"size": list(runs[0]["size"]), "counts": runs[0]["counts"].decode("ascii")}
