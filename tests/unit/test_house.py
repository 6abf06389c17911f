"""The house stays one that a newcomer can live in: what is said of the tree is measured here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import kivfm_core

CORE = Path(kivfm_core.__file__).parent
FILES = sorted(CORE.rglob("*.py"))
TOP, LINES, PARAMETERS = 14, 50, 7

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(file: Path) -> Iterator[Function]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def parameters(function: Function) -> int:
    given = function.args
    names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def test_few_files_at_the_top():
    assert len(list(CORE.glob("*.py"))) <= TOP


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CORE)))
def test_functions_are_read_at_a_glance(file: Path):
    lines = file.read_text(encoding="utf-8").splitlines()
    for function in functions(file):
        length = (function.end_lineno or 0) - function.lineno + 1
        assert length <= LINES, f"{function.name} has {length} lines"
        # A longer signature says why in a comment above it.
        explained = lines[function.lineno - 2].strip().startswith("#")
        assert parameters(function) <= PARAMETERS or explained, f"{function.name}: too many"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CORE)))
def test_an_import_inside_a_function_says_what_it_keeps_light(file: Path):
    lines = file.read_text(encoding="utf-8").splitlines()
    inside = {
        line: function.name
        for function in functions(file)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
    }
    for line, name in inside.items():
        # One comment is enough for imports that follow each other.
        first = line
        while first - 1 in inside:
            first -= 1
        explained = lines[first - 2].strip().startswith("#") or "#" in lines[first - 1]
        assert explained, f"{name} imports in line {line}, and no comment says why"


@pytest.mark.parametrize("folder", sorted({file.parent for file in FILES}), ids=lambda f: f.name)
def test_every_folder_says_what_lives_there(folder: Path):
    home = folder / "__init__.py"
    assert home.is_file() and ast.get_docstring(ast.parse(home.read_text(encoding="utf-8")))


SOURCES = [
    file
    for folder in ("kivfm_core", "cli", "teachers", "plugins", "benchmarks", "scripts")
    for file in sorted((CORE.parent / folder).rglob("*.py"))
]


def test_constants_are_explained_by_comments_above():
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            body = getattr(node, "body", None)
            for statement in body[1:] if isinstance(body, list) else ():
                value = statement.value if isinstance(statement, ast.Expr) else None
                text = isinstance(value, ast.Constant) and isinstance(value.value, str)
                assert not text, f"{file}:{statement.lineno}: a string below a constant"
