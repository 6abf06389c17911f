"""Writes docs/reference/python.md from the signatures and docstrings of kivfm_core.

    python scripts/api.py            # write the page
    python scripts/api.py --check    # only say whether it is current

The page has the functions that `kivfm_core` itself offers, and the files at its top: the interface
that plugins import. Code is parsed, not imported.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import kivfm_core

ROOT = Path(__file__).parents[1]
CORE = ROOT / "kivfm_core"
PAGE = ROOT / "docs/reference/python.md"

HEAD = """\
# Python

<!-- Written by `python scripts/api.py`; a test compares. Edit the docstrings, not this page. -->

The functions of `kivfm_core` do what the commands do. The files at the top of `kivfm_core` are the
interface that plugins import; its folders are private, but for `kivfm_core.weights`,
`kivfm_core.licenses.kinds`, `kivfm_core.scenes` and the [conformance kit](conformance.md),
`kivfm_core.testing`. Importing `kivfm_core` imports no torch. The records of `kivfm_core.spec` are
described field by field in [Specs](spec.md).
"""

# What the functions give, for users.
GIVEN = {
    "LoadedModel": "loaded/load.py",
    "Features": "loaded/features.py",
    "Backbone": "loaded/backbone.py",
    "Prediction": "prediction/result.py",
    "Embedded": "embedding/embed.py",
    "Hit": "embedding/nearest.py",
    "Settings": "probing/protocol.py",
    "ProbeResult": "probing/result.py",
    "ProbeRow": "probing/result.py",
}

Definition = ast.FunctionDef | ast.ClassDef


def main() -> int:
    """Writes the page, or compares it."""
    text = page()
    if "--check" in sys.argv[1:]:
        current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        print("current" if current else "not current: python scripts/api.py")
        return not current
    PAGE.write_text(text, encoding="utf-8")
    print(f"written: {PAGE.relative_to(ROOT)}")
    return 0


def page() -> str:
    """The whole page."""
    parts = [HEAD, "## kivfm_core\n"]
    for name in kivfm_core.__all__:
        home = ROOT / (kivfm_core._HOME[name].replace(".", "/") + ".py")
        if not home.exists():
            home = home.with_suffix("") / "__init__.py"
        parts += describe(next(d for d in definitions(parse(home)) if d.name == name))
    for name, home in GIVEN.items():
        parts += describe(next(d for d in definitions(parse(CORE / home)) if d.name == name))
    for file in sorted(CORE.glob("*.py")):
        if file.stem != "__init__":
            tree = parse(file)
            parts += [f"## kivfm_core.{file.stem}\n", prose(ast.get_docstring(tree) or "")]
            for definition in definitions(tree):
                parts += describe(definition)
    return "\n".join(part.rstrip() + "\n" for part in parts)


def parse(file: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(file.read_text(encoding="utf-8"))


def definitions(tree: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    """Public functions and classes, in the order of the code, each once."""
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            if "overload" not in map(ast.unparse, node.decorator_list):
                yield node


def describe(definition: Definition) -> Iterator[str]:
    """A function or class as Markdown."""
    yield f"### {definition.name}\n"
    yield f"```py\n{signature(definition)}\n```\n"
    yield prose(ast.get_docstring(definition) or "")
    if isinstance(definition, ast.ClassDef):
        methods = [f"- {one_line(method)}" for method in definitions(definition)]
        if methods:
            yield "*Methods and properties*\n"
            yield "\n".join(methods) + "\n"


def signature(node: Definition) -> str:
    """The first lines of a definition, such that they are valid Python."""
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        return f"class {node.name}({bases}): ..." if bases else f"class {node.name}: ..."
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    parts = list(arguments(node.args))
    line = f"def {node.name}({', '.join(parts)}){returns}: ..."
    if len(line) <= 100:
        return line
    return "\n".join([f"def {node.name}(", *(f"    {part}," for part in parts), f"){returns}: ..."])


def arguments(args: ast.arguments) -> Iterator[str]:
    """Each argument as it is written, with `*` where keywords begin."""
    positional = [*args.posonlyargs, *args.args]
    missing = len(positional) - len(args.defaults)
    for argument, value in zip(positional, [*[None] * missing, *args.defaults], strict=True):
        yield _argument(argument, value)
    if args.vararg:
        yield "*" + _argument(args.vararg, None)
    elif args.kwonlyargs:
        yield "*"
    for argument, value in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        yield _argument(argument, value)
    if args.kwarg:
        yield "**" + _argument(args.kwarg, None)


def _argument(argument: ast.arg, value: ast.expr | None) -> str:
    text = ast.unparse(argument)
    equals = " = " if argument.annotation else "="
    return text if value is None else f"{text}{equals}{ast.unparse(value)}".replace("'", '"')


def one_line(node: Definition) -> str:
    """A method with its arguments, and the first sentence of its docstring."""
    names = (
        [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        if isinstance(node, ast.FunctionDef)
        else []
    )
    names = [name for name in names if name not in ("self", "cls")]
    decorators = {ast.unparse(item) for item in getattr(node, "decorator_list", [])}
    called = "" if decorators & {"property", "cached_property"} else f"({', '.join(names)})"
    first = (ast.get_docstring(node) or "").partition("\n\n")[0]
    return (
        f"`{node.name}{called}`: {' '.join(first.split())}" if first else f"`{node.name}{called}`"
    )


def prose(docstring: str) -> str:
    """A Google-style docstring as Markdown: sections become lists, examples become blocks."""
    lines: list[str] = []
    section = ""
    for line in docstring.splitlines():
        title = re.fullmatch(r"(Args|Attributes|Raises|Returns|Yields|Example|Examples):", line)
        if title:
            _close(lines, section)
            section = title[1]
            lines += [f"*{section}*", "", *(["```text"] if "Example" in section else [])]
        elif not section or not line.startswith(" "):
            _close(lines, section if line else "")
            section = section if not line else ""
            lines.append(line)
        elif "Example" in section:
            lines.append(line[4:])
        elif section in ("Returns", "Yields"):
            lines.append(line.strip())
        elif line.startswith(" " * 5):
            lines.append("  " + line.strip())
        else:
            name, colon, rest = line.strip().partition(": ")
            lines.append(f"- `{name}`: {rest}" if colon else f"- {line.strip()}")
    _close(lines, section)
    return "\n".join(lines).rstrip() + "\n"


def _close(lines: list[str], section: str) -> None:
    if "Example" in section:
        while lines and not lines[-1]:
            lines.pop()
        lines += ["```", ""]


if __name__ == "__main__":
    sys.exit(main())
