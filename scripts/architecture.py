"""Draws docs/figures/architecture.svg from the imports of kivfm_core.

    python scripts/architecture.py

The figure has a row for each file at the top of `kivfm_core` and for each folder. An arc leads from
a row to a row that it imports. Every arc goes up; arcs that follow from others are left out. Three
lines show where an image, a teacher's name and a run folder go. Their stations are listed below,
and every line is checked: its stations must be connected by imports.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORE = ROOT / "kivfm_core"
FIGURE = ROOT / "docs/figures/architecture.svg"

# The order of the rows, as far as imports allow it; rows that are not named here come last.
ORDER = """
errors text files spec task hooks reference geometry progress predictions readout run_files
weights layers scenes data tasks registry recipes adapters aligners config licenses composition
teacher student runs cache objectives planner distillation evaluation prediction testing
""".split()

# Each line: its title, its color, and its stations from top to bottom, with what happens there.
LINES: list[tuple[str, str, dict[str, str]]] = [
    (
        "An image",
        "#b3410e",
        {
            "data": "is decoded, cut to a view, put on a canvas",
            "data.formats": "labels are read, one file a format",
            "teacher": "encode: from a canvas to levels",
            "student": "trunk and adapter, then aligners: its levels",
            "tasks": "how predictions are scored and drawn",
            "cache": "a frozen network's outputs are stored",
            "objectives": "student's and teacher's levels: a distance",
            "distillation.inputs": "a step's canvases and teacher outputs",
            "distillation.training": "loss, gradient, step",
            "evaluation": "the student beside its teachers",
            "prediction": "one image, one task, a drawing",
        },
    ),
    (
        "A teacher's name",
        "#1a6b54",
        {
            "spec": "a plugin declares it in a spec",
            "hooks": "and hands the spec in",
            "registry": "is looked up: alias, family, provider",
            "config": "is stored in the run's configuration",
            "composition": "gets aligners for its levels: the plan",
            "teacher": "load_teacher: networks and weights",
            "student": "stand_in(name): the student in its place",
            "distillation": "is loaded for the run",
            "evaluation": "has a row in the table",
        },
    ),
    (
        "A run folder",
        "#3b4fa8",
        {
            "config": "config.toml",
            "composition": "composition.json",
            "student": "student/: the bundle",
            "runs": "is opened; a teacher is removed",
            "distillation": "is made; environment.json, costs.json",
            "distillation.training": "metrics.jsonl, tensorboard/",
            "distillation.state": "checkpoints/, and how to resume",
            "evaluation": "evaluation.json",
        },
    ),
]

STEP, TOP, ARCS, NAMES, COLUMN, MARGIN = 27, 64, 170, 196, 306, 14
GRAY, INK, PALE = "#8a8f98", "#1d2330", "#f3f5f8"


def main() -> int:
    """Writes the figure; with `--check` only says whether the one that is there is current."""
    figure = draw()
    if "--check" in sys.argv[1:]:
        current = FIGURE.exists() and FIGURE.read_text(encoding="utf-8") == figure
        print("current" if current else "not current: python scripts/architecture.py")
        return not current
    FIGURE.parent.mkdir(exist_ok=True)
    FIGURE.write_text(figure, encoding="utf-8")
    print(f"written: {FIGURE.relative_to(ROOT)}")
    return 0


# Imports


def imports() -> dict[str, set[str]]:
    """For every module, named from `kivfm_core` on, the modules that it imports."""
    found: dict[str, set[str]] = {}
    for file in sorted(CORE.rglob("*.py")):
        words = file.relative_to(CORE).with_suffix("").parts
        name = ".".join(words[:-1] if words[-1] == "__init__" else words)
        found[name] = set(_imported(ast.parse(file.read_text(encoding="utf-8"))))
    return found


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (n.removeprefix("kivfm_core.") for n in names if n.startswith("kivfm_core."))


def folders() -> dict[str, list[str]]:
    """The rows that the tree has: files at the top and folders, these with their own folders."""
    rows: dict[str, list[str]] = {}
    for path in sorted(CORE.iterdir()):
        if path.suffix == ".py" and path.stem != "__init__":
            rows[path.stem] = []
        elif (path / "__init__.py").exists():
            rows[path.name] = sorted(p.parent.name for p in path.glob("*/__init__.py"))
    return rows


def inside(module: str, place: str) -> bool:
    """Whether a module is a place, or lies in it."""
    return module == place or module.startswith(f"{place}.")


def links(modules: dict[str, set[str]], a: str, b: str) -> bool:
    """Whether place `a` imports anything of place `b`."""
    return any(
        inside(name, b) and not inside(name, a)
        for module, names in modules.items()
        if inside(module, a)
        for name in names
    )


def direct_imports(modules: dict[str, set[str]]) -> dict[str, set[str]]:
    """For every row the rows that it imports, in an order in which every import goes up.

    Raises:
        SystemExit: If rows import each other in a circle.
    """
    rows = list(folders())
    wanted = sorted(rows, key=lambda row: (ORDER.index(row) if row in ORDER else len(ORDER), row))
    direct = {a: {b for b in rows if a != b and links(modules, a, b)} for a in rows}
    placed: dict[str, set[str]] = {}

    def place(row: str, waiting: tuple[str, ...] = ()) -> None:
        if row in waiting:
            raise SystemExit(f"error: a circle of imports: {' -> '.join((*waiting, row))}")
        if row in placed:
            return
        for other in wanted:  # what it imports comes first
            if other in direct[row]:
                place(other, (*waiting, row))
        placed[row] = direct[row]

    for row in wanted:
        place(row)
    return placed


def without_implied(direct: dict[str, set[str]]) -> list[tuple[str, str]]:
    """The imports between rows, without those that follow from others."""
    reached: dict[str, set[str]] = {}
    for a, names in direct.items():
        reached[a] = names.union(*(reached[b] for b in names))
    return [
        (a, b)
        for a, names in direct.items()
        for b in direct
        if b in names and not any(b in reached[c] for c in names)
    ]


def check_lines(modules: dict[str, set[str]]) -> None:
    """Every station is a place in the tree, and a line's stations are connected by imports.

    Raises:
        SystemExit: If not; names the station.
    """
    for title, _, stations in LINES:
        places = list(stations)
        strange = [p for p in places if not any(inside(module, p) for module in modules)]
        if strange:
            raise SystemExit(f"error: {title}: no such place: {', '.join(strange)}")
        near = {
            a: {b for b in places if links(modules, a, b) or links(modules, b, a)} for a in places
        }
        reached, new = set(places[:1]), set(places[:1])
        while new:
            new = set().union(*(near[p] for p in new)) - reached
            reached |= new
        apart = [p for p in places if p not in reached]
        if apart:
            raise SystemExit(f"error: {title}: no import connects {', '.join(apart)} with the rest")


# Drawing


def draw() -> str:
    """The figure as SVG."""
    modules = imports()
    direct = direct_imports(modules)
    check_lines(modules)
    # Folders of a folder get rows of their own where a line stops there.
    tree, stops = folders(), {place for _, _, stations in LINES for place in stations}
    rows: list[str] = []
    for name in direct:
        rows += [name, *(f"{name}.{sub}" for sub in tree[name] if f"{name}.{sub}" in stops)]
    y = {name: TOP + STEP * index for index, name in enumerate(rows)}
    left = MARGIN + ARCS
    width = left + NAMES + COLUMN * len(LINES) + MARGIN
    height = TOP + STEP * len(rows) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="DejaVu Sans, Verdana, sans-serif" '
        f'font-size="12">',
        "<title>The folders of kivfm_core, their imports, and what passes through them</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        '<defs><marker id="tip" viewBox="0 0 6 6" refX="6" refY="3" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0,0L6,3L0,6z" '
        f'fill="{GRAY}"/></marker></defs>',
    ]
    for index, name in enumerate(rows):
        if index % 2 == 0:
            parts.append(
                f'<rect x="{left}" y="{y[name] - STEP / 2}" width="{width - left - MARGIN}" '
                f'height="{STEP}" fill="{PALE}"/>'
            )
    parts += [_arc(left - 2, y[a], y[b]) for a, b in without_implied(direct)]
    parts.append(_text(MARGIN, 22, "imports: arcs go up", GRAY))
    parts.append(_text(left + 8, 22, "kivfm_core", INK, 'font-weight="bold"'))
    parts.append(_text(left + 8, 38, "bold: interface", GRAY))
    for name in rows:
        depth, file = name.count("."), (CORE / f"{name}.py").exists()
        label = name.rpartition(".")[2] + (".py" if file else "/")
        more = 'font-family="DejaVu Sans Mono, Menlo, monospace"'
        more += ' font-weight="bold"' if file else ""
        parts.append(_text(left + 8 + 18 * depth, y[name] + 4, label, INK, more))
    for index, (title, color, stations) in enumerate(LINES):
        parts += _line(left + NAMES + COLUMN * index, y, title, color, stations)
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, text: str, color: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}" fill="{color}" {more}>{escape(text)}</text>'


def _arc(x: float, start: float, end: float) -> str:
    # Wider for longer ways, so that arcs of different lengths do not run over each other.
    bow = min(ARCS * 1.3, 14 + 0.27 * (start - end))
    return (
        f'<path d="M{x},{start} C{x - bow:.1f},{start} {x - bow:.1f},{end} {x},{end}" '
        f'fill="none" stroke="{GRAY}" stroke-opacity="0.75" marker-end="url(#tip)"/>'
    )


def _line(x: float, y: dict[str, float], title: str, color: str, stations: dict[str, str]):
    places = sorted(stations, key=y.__getitem__)
    first, last = y[places[0]], y[places[-1]]
    yield _text(x - 6, 22, title, color, 'font-weight="bold" font-size="14"')
    yield f'<path d="M{x},{first}V{last}" stroke="{color}" stroke-width="3"/>'
    for place in places:
        yield (
            f'<circle cx="{x}" cy="{y[place]}" r="5" fill="#fff" stroke="{color}" '
            'stroke-width="2.5"/>'
        )
        yield _text(x + 12, y[place] + 4, stations[place], INK)


if __name__ == "__main__":
    sys.exit(main())
