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


@pytest.mark.parametrize("folder", sorted({file.parent for file in FILES}), ids=lambda f: f.name)
def test_every_folder_says_what_lives_there(folder: Path):
    home = folder / "__init__.py"
    assert home.is_file() and ast.get_docstring(ast.parse(home.read_text(encoding="utf-8")))
