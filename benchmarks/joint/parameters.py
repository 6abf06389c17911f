"""Parameters with two to twelve teachers, a head for each level or one for all: by plan alone.

python -m benchmarks.joint.parameters
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.common import machine, table, write_results
from kivfm_core.composition.compose import compose
from kivfm_core.composition.composition import Composition
from kivfm_core.config import build_config
from kivfm_core.text import size

TEACHERS = (
    "dino/vit-b-14", "clip/vit-b-16", "sam/vit-b", "detector/maskrcnn-r50",
    "segmenter/deeplabv3-r50", "classifier/convnext-base", "siglip/vit-b-16", "yolox/l",
    "deeplab/mnv2-voc", "clip/vit-b-32", "classifier/vit-b-16", "detector/maskrcnn-r50-v2",
)  # fmt: skip
COUNTS = (2, 5, 8, 12)
COLUMNS = (
    "teachers | recipe | trainable | adapter | shared head | aligners | share | sums of the fit"
)
RECIPES = ("kpu", "kpu-joint", "kpu-joint-learned")


def main() -> None:
    """Plans, prints and writes the table."""
    rows = [_row(count, recipe) for count in COUNTS for recipe in RECIPES]
    print(write_results("joint.parameters", {"machine": machine(), "rows": rows}, page))


def _row(count: int, recipe: str) -> dict[str, Any]:
    plan = _plan(TEACHERS[:count], recipe)
    head = plan.shared_head
    return {
        "teachers": count,
        "recipe": recipe,
        "trainable": plan.trainable,
        "adapter": sum(adapter.parameters for adapter in plan.adapters),
        "head": head.parameters if head else 0,
        "aligners": sum(aligner.parameters for aligner in plan.aligners),
        "total": plan.total,
        "sums": _sums(plan) if head else 0,
    }


def _sums(plan: Composition) -> int:
    """Bytes of the joint fit's sums: of all dense levels' channels, and with the global ones'."""
    dense, whole = (
        sum(aligner.level.channels for aligner in plan.aligners if aligner.level.kind == kind)
        for kind in ("dense", "global")
    )
    return 8 * (dense**2 + (dense + whole) ** 2)


def _plan(teachers: tuple[str, ...], recipe: str) -> Composition:
    return compose(build_config(None, {"teachers": ",".join(teachers), "recipe": recipe}))


def page(record: Mapping[str, Any]) -> list[str]:
    """The table, with what it means."""
    rows = [
        (str(row["teachers"]), row["recipe"], f"{row['trainable']:,}", f"{row['adapter']:,}",
         f"{row['head']:,}", f"{row['aligners']:,}", f"{row['trainable'] / row['total']:.1%}",
         size(row["sums"]) if row["sums"] else "-")
        for row in record["rows"]
    ]  # fmt: skip
    return [
        "# Parameters of a shared head",
        "",
        f"A student of the first 2 to 12 of these teachers: {', '.join(TEACHERS)}. Fitted maps to",
        "teachers' levels count, since inference uses them; learned ones of the base count, since",
        "they are trained. The fit's sums lie in the memory of each process, in float64; while it",
        "solves, there are several matrices of that size.",
        "",
        *table(COLUMNS, rows),
        "",
    ]


if __name__ == "__main__":
    main()
