"""Pages and figures that follow from the code are current, and say nothing that it does not say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "kivfm_core"
DOCS = ROOT / "docs"


@pytest.mark.parametrize("script", ["architecture", "api", "catalog"])
def test_a_generated_page_is_current(script):
    command = [sys.executable, f"scripts/{script}.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def described(page):
    """The first cells of a page's tables."""
    return re.findall(r"^\| `([\w/.]+)` \|", page.read_text(encoding="utf-8"), re.M)


def test_every_folder_and_top_file_has_a_sentence():
    """In `architecture.md`, and none that is not there."""
    files = {path.stem for path in CORE.glob("*.py")} - {"__init__"}
    folders = {path.parent.relative_to(CORE).as_posix() for path in CORE.rglob("__init__.py")} - {
        "."
    }
    around = {f"{path}/" for path in ("kivfm_core", "plugins", "benchmarks", "tests", "scripts")}
    around |= {"teachers/kivfm_teachers/", "cli/kivfm_cli/", "examples/"}
    found = described(DOCS / "explanation/architecture.md")
    assert sorted(found) == sorted(files | folders | around)


def strings():
    """Every string of the code, with a mark where something is filled in."""
    for folder in (CORE, ROOT / "cli/kivfm_cli"):
        for file in sorted(folder.rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    yield "".join(
                        part.value if isinstance(part, ast.Constant) else "\0"
                        for part in node.values
                    )
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


MESSAGES = re.findall(
    r"^\| `([^`]+)` \|", (DOCS / "how-to/troubleshooting.md").read_text(encoding="utf-8"), re.M
)


@pytest.fixture(scope="module")
def known():
    return list(strings())


@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_that_troubleshooting_quotes_is_one(message, known):
    """Capitals stand for what is filled in, dots for a rest that differs."""
    words = [word for word in re.split(r"(\b[A-Z]{1,}\b(?!['=])|\.\.\.)", message) if word.strip()]
    pieces = [w for w in words if not re.fullmatch(r"[A-Z]+|\.\.\.", w)]
    pattern = r"[^\n]*?".join(re.escape(piece.strip()) for piece in pieces)
    assert any(re.search(pattern, text) for text in known), f"no message reads {message!r}"


RESULTS = [p.read_text(encoding="utf-8") for p in (ROOT / "benchmarks").glob("**/results/*.md")]


def measured():
    """Numbers with three digits of the result files, and means of neighbors in a row of a table.

    A detector has two tasks side by side; pages give the mean of the two.
    """
    for page in RESULTS:
        yield from re.findall(r"\d\.\d{3}", page)
        for line in page.splitlines():
            cells = [re.match(r" (\d\.\d{3})", cell) for cell in line.split("|")]
            for one, other in pairwise(cells):
                if one and other:
                    yield from between(float(one[1]), float(other[1]))


def between(one, other):
    """The mean of two rounded numbers, as it may be rounded itself."""
    thousandths = round(1000 * one) + round(1000 * other)
    return (f"{x / 1000:.3f}" for x in {thousandths // 2, (thousandths + 1) // 2})


def test_results_are_those_of_the_result_files():
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    spreads = re.findall(r"\d\.\d{3} ± \d\.\d{3}", page)
    assert spreads and not [x for x in spreads if not any(x in file for file in RESULTS)]
    known = set(measured())
    assert not [x for x in re.findall(r"(?<![\d.])\d\.\d{3}(?!\d)", page) if x not in known]
    readme = re.findall(r"^\| \S+/nano .*$", (ROOT / "README.md").read_text("utf-8"), re.M)
    assert readme and all(line in page for line in readme)


def test_every_result_file_is_on_a_page():
    pages = [*DOCS.rglob("*.md"), *(ROOT / "benchmarks").glob("**/README.md"), ROOT / "README.md"]
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    for file in (ROOT / "benchmarks").glob("**/results/*.md"):
        assert f"{file.parent.parent.name}/results/{file.name}" in text, file
