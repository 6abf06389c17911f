"""One word for one thing: pages and help contain none of the words that were retired.

The words are those of docs/reference/glossary.md. Code spans and blocks may contain any word: names
of files and keys never change.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from kivfm_cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "RELEASING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*/README.md")),
]

# What to write instead. Networks are run, and compute; they do not speak.
RETIRED = {
    r"pictures?": "image",
    r"photographs?": "photo",
    r"taps?": "attachment, attachment point",
    r"keepers?": "cache",
    r"owners?": "source of outputs",
    r"(?:is|are|was|were|be|been|being|when|once|never|not) asked": "run, computed",
    r"asks? (?:the|a|its|their|each|every|no|teachers?|networks?)": "run",
    r"answers": "outputs",
    r"(?:teachers?|students?|networks?|decoders?|they|it) (?:says?|said|speaks?|told)": "gives",
    r"asked anew|asked again": "run in every step",
    r"colour|licence|normalis\w+|behaviour|centred?|grey": "American spelling",
}


def text_of(page: Path) -> str:
    """A page without its code, comments and the targets of its links."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"`[^`]*`", "", text)
    return re.sub(r"\]\([^)]*\)", "]", text)


def retired(text: str) -> list[str]:
    """The retired words in a text, each with what to write instead."""
    return [
        f"{found[0]!r}: write {better}"
        for word, better in RETIRED.items()
        for found in re.finditer(rf"\b(?:{word})\b", " ".join(text.split()), re.I)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_has_no_retired_word(page):
    assert not retired(text_of(page))


CODE = [
    file
    for folder in ("kivfm_core", "cli", "teachers", *(ROOT / "plugins").glob("*/kivfm_*"))
    for file in sorted((ROOT / folder).rglob("*.py"))
]
# Words that are stored in runs, or that a text encoder was trained on, and so stay.
STORED = {
    "stream.py": "pictures",
    "run.py": "pictures",
    "vocabulary.py": "picture",
    "clip.py": "picture",
}


def prose(file: Path) -> Iterator[str]:
    """A module's docstrings, messages and comments, without code and names."""
    source = file.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            # Arguments and attributes are listed by their names, a line each.
            yield re.sub(r"^ +\w+:(?= )", "", re.sub(r"`[^`]*`", "", node.value), flags=re.M)
    for line in source.splitlines():
        if line.lstrip().startswith("#"):
            yield re.sub(r"`[^`]*`", "", line)


def test_code_is_explained_without_retired_words():
    for file in CODE:
        for text in prose(file):
            found = [word for word in retired(text) if repr(STORED.get(file.name)) not in word]
            assert not found, f"{file}: {found} in {text!r}"


def help_texts(command, words=("kivfm",)):
    """Every command's help, and every flag's and argument's, with where it stands."""
    where = " ".join(words)
    yield where, command.help
    for parameter in command.params:
        yield f"{where} {parameter.opts[0]}", parameter.help
    if hasattr(command, "list_commands"):
        context = typer.Context(command)
        for name in command.list_commands(context):
            yield from help_texts(command.get_command(context, name), (*words, name))


HELP = dict(help_texts(typer.main.get_command(app)))


@pytest.mark.parametrize("where", HELP)
def test_a_help_text_is_a_sentence_without_retired_words(where):
    text = HELP[where]
    assert text, "no help"
    for paragraph in text.strip().split("\n\n"):
        assert re.match(r"[A-Z`]|--", paragraph.strip()), f"no capital: {paragraph!r}"
        assert paragraph.strip().endswith((".", ":")), f"no period: {paragraph!r}"
    assert not retired(re.sub(r"`[^`]*`", "", text))


def test_retired_words_are_found():
    assert retired("Every Picture is asked\nanew.")
    assert not retired(text_of(ROOT / "docs/reference/glossary.md") + " imagery, taped, answer")
