"""Writes the tables of teachers in docs/reference/teachers.md and docs/how-to/choose-teachers.md.

    python scripts/catalog.py            # write the tables
    python scripts/catalog.py --check    # only say whether they are current

The numbers are those of `kivfm teachers list --json` and of `kivfm compose --teachers A,B --json`.
Tables stand between markers; the text around them is written by hand.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from kivfm_cli.app import main as kivfm
from kivfm_core.text import count, size

ROOT = Path(__file__).parents[1]
CATALOG = ROOT / "docs/reference/teachers.md"
CHOICE = ROOT / "docs/how-to/choose-teachers.md"

# Teachers of this repository; others that happen to be installed are left out.
OURS = (
    "kivfm",
    "kivfm-deeplab",
    "kivfm-nano",
    "kivfm-transformers",
    "kivfm-yolov8",
    "kivfm-yolox",
)

# What the page on choosing compares, by goal.
CHOICES = {
    "open vocabulary": ("dino,clip", "dino,siglip"),
    "detection": ("dino,yolox/s", "dino,detector"),
    "segmentation": ("dino,segmenter", "dino,sam"),
    "several": ("dino,clip,sam", "dino,clip,sam,detector,segmenter"),
    "small": (
        "dino/vit-s-14,clip/vit-b-32",
        "dino/vit-s-14,yolox/nano,segmenter/deeplabv3-mnv3",
        "dino/nano,clip/nano,sam/nano,detector/nano,segmenter/nano",
    ),
    "high quality": ("dino/vit-l-14,clip/vit-l-14,sam,detector/maskrcnn-r50-v2",),
}


def main() -> int:
    """Writes the tables, or compares them."""
    listed = read("teachers", "list")
    tables = {
        CATALOG: {
            "teachers": teachers(listed),
            "libraries": libraries(listed),
            "short names": short_names(listed),
        },
        CHOICE: {"costs": costs()},
    }
    current = True
    for page, parts in tables.items():
        before = page.read_text(encoding="utf-8")
        after = before
        for name, lines in parts.items():
            after = put(after, name, "\n".join(lines))
        current = current and after == before
        if "--check" not in sys.argv[1:]:
            page.write_text(after, encoding="utf-8")
            print(f"written: {page.relative_to(ROOT)}")
    if "--check" in sys.argv[1:]:
        print("current" if current else "not current: python scripts/catalog.py")
        return not current
    return 0


def read(*words: str) -> dict[str, Any]:
    """What a `kivfm` command prints as JSON."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = kivfm([*words, "--json"])
    if code:
        raise SystemExit(f"error: kivfm {' '.join(words)} --json: exit code {code}")
    return json.loads(printed.getvalue())


def put(page: str, name: str, table: str) -> str:
    """A page with a table between its markers."""
    pattern = rf"(<!-- {name} -->\n).*?(\n<!-- end of {name} -->)"
    assert re.search(pattern, page, re.S), f"no markers for {name}"
    return re.sub(pattern, lambda found: f"{found[1]}{table}{found[2]}", page, flags=re.S)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def teachers(listed: dict[str, Any]) -> list[str]:
    """A row for every teacher of this repository, by name."""
    head = ("teacher", "role", "tasks", "levels", "canvas", "parameters", "weights", "license")
    found = [t for t in listed["teachers"] if t["distribution"] in OURS and t["name"]]
    return table(head, [row(t) for t in sorted(found, key=lambda t: t["name"])])


def row(teacher: dict[str, Any]) -> tuple[str, ...]:
    """A teacher as a row of the catalog."""
    names = ", ".join(f"`{name}`" for name in (teacher["name"], *teacher["aliases"]))
    weights = teacher["weights"]
    # What the known licenses allow, or what the spec says if that is stricter.
    use = read("teachers", "show", teacher["name"])["license"]["commercial_use"]
    license_ = weights["license"] + ("" if use == "yes" else f"; commercial use: {use}")
    code = teacher["code_license"]
    return (
        names + ("" if teacher["distribution"] == "kivfm" else f" ({teacher['distribution']})"),
        teacher["role"] + (", can be the base" if teacher["attachments"] else ""),
        ", ".join(teacher["tasks"]) or "-",
        "; ".join(level(item) for item in teacher["levels"]),
        teacher["input"]
        + (f", trained at {sides}" if (sides := _sides(teacher["input_contract"])) else ""),
        count(teacher["parameters"]),
        size(weights["bytes"]) + (", gated" if weights["gated"] else ""),
        license_ if code == weights["license"] else f"{license_}; code {code}",
    )


def _sides(contract: dict[str, Any]) -> str:
    return ", ".join(map(str, contract["train_sizes"]))


def level(item: dict[str, Any]) -> str:
    """A level as its name, channels and stride."""
    stride = f" /{item['stride']}" if item["stride"] else ""
    return f"`{item['name']}` {item['channels']}{stride}"


def libraries(listed: dict[str, Any]) -> list[str]:
    """A row for every library whose models are teachers by name."""
    found = sorted(listed["providers"], key=lambda p: p["prefix"])
    return table(("name", "what"), [(f"`{p['prefix']}NAME`", p["summary"]) for p in found])


def short_names(listed: dict[str, Any]) -> list[str]:
    """A row for every short name of a model of such a library."""
    rows = [
        (f"`{name}`", f"`{provider['prefix']}{model}`")
        for provider in listed["providers"]
        for name, model in sorted(provider["names"].items())
    ]
    return table(("short name", "stands for"), rows)


def costs() -> list[str]:
    """A row for every choice of teachers: what `kivfm compose` says of it."""
    head = (
        "goal",
        "teachers",
        "student, of it trained",
        "canvas",
        "GMACs an image: teachers, student",
        "memory, GiB",
        "license, commercial use",
    )
    rows: list[tuple[str, ...]] = []
    for goal, choices in CHOICES.items():
        for names in choices:
            plan = read("compose", "--teachers", names)
            cost, license_ = plan["cost"], plan["license"]
            memory = sum(cost[f"{what}_bytes"] for what in ("weights", "optimizer", "activations"))
            rows.append(
                (
                    goal,
                    f"`{names}`".replace(",", ", "),
                    f"{count(plan['parameters']['total'])}, {plan['parameters']['share']:.1%}",
                    ", ".join(map(str, plan["image_size"])),
                    f"{cost['teachers_gmacs_per_image']:.3g}, "
                    f"{cost['student_gmacs_per_image']:.3g}",
                    f"{memory / 2**30:.1f}",
                    f"{license_['strictest']}, {license_['commercial_use']}",
                )
            )
    return table(head, rows)


if __name__ == "__main__":
    sys.exit(main())
