"""The docs say what the code says: keys, fields, commands, flags, links and command lines."""

import ast
import inspect
import json
import re
import shlex
import tomllib
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Literal, Union, get_args, get_origin

import pytest
import typer

from kivfm_cli.app import app
from kivfm_core import hooks, spec
from kivfm_core.config import RunConfig, build_config
from kivfm_core.data.formats.table import FORMATS
from kivfm_core.spec import Record
from kivfm_core.task import LabelFormat, Prompt, Saved, TaskRecord
from kivfm_core.tasks.table import KNN, TASKS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TOP = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "RELEASING", "CHANGELOG")]
BENCHMARKS = [
    ROOT / f"benchmarks/{name}.md" for name in ("HISTORY", "method/README", "real/README")
]
PAGES = [*TOP, *sorted(DOCS.rglob("*.md")), *BENCHMARKS]
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
RECORDS = [
    kind
    for kind in vars(spec).values()
    if isinstance(kind, type) and issubclass(kind, Record) and kind is not Record
]
TASK_RECORDS = [LabelFormat, Prompt, Saved, TaskRecord]
each_page = pytest.mark.parametrize("page", PAGES, ids=IDS)


# Reading pages


def fences(page):
    """`(language, text)` of a page's fenced blocks."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", text, re.M | re.S)


@cache
def prose(page):
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def headings(page):
    return re.findall(r"^#+ (.+?)\s*$", prose(page), re.M)


def section(page, heading):
    """The text under a heading, up to the next one."""
    parts = re.split(r"^#+ (.+?)\s*$", prose(page), flags=re.M)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert heading in found, f"{page.relative_to(ROOT)} has no heading {heading!r}"
    return found[heading]


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# Fields and keys


def default(field):
    """A field's default as the tables write it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "none" if value is None else f"`{json.dumps(value)}`"


def literals(annotation):
    if get_origin(annotation) is Literal:
        yield from (value for value in get_args(annotation) if isinstance(value, str))
    elif get_origin(annotation) in (Union, UnionType, tuple):
        for part in get_args(annotation):
            yield from literals(part)


def has_row(text, name, field, where):
    rows = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
    assert rows, f"{where}: no row for {name}; add: | `{name}` | {default(field)} | ... |"
    cells = [cell.strip() for cell in rows[0].replace(r"\|", "").split("|")]
    assert cells[2] == default(field), f"{where}: {name} has the default {default(field)}"
    for choice in literals(field.annotation):
        assert f"`{choice}`" in rows[0], f"{where}: {name} can be {choice}"


def keys(kind, prefix=""):
    """Every key of a configuration and its field; of tables and lists of them, too."""
    for name, field in kind.model_fields.items():
        key = prefix + (field.alias or name)
        kinds = [field.annotation, *get_args(field.annotation)]
        tables = [k for k in kinds if isinstance(k, type) and issubclass(k, Record)]
        if not tables or field.is_required():
            yield key, field
        for table in tables:
            yield from keys(table, f"{key}.")


KEYS = list(keys(RunConfig))


@pytest.mark.parametrize(("key", "field"), KEYS, ids=[key for key, _ in KEYS])
def test_every_configuration_key_is_described(key, field):
    page = DOCS / "reference/configuration.md"
    has_row(prose(page), key, field, page.name)


def test_no_configuration_key_is_described_that_is_not_there():
    rows = re.findall(r"^\| `([\w.]+)` \|", prose(DOCS / "reference/configuration.md"), re.M)
    assert sorted(rows) == sorted(key for key, _ in KEYS)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_every_spec_field_is_described(kind):
    page = DOCS / "reference/spec.md"
    text = section(page, kind.__name__)
    for name, field in kind.model_fields.items():
        has_row(text, name, field, f"{page.name}, {kind.__name__}")
    rows = re.findall(r"^\| `(\w+)` \|", text, re.M)
    assert sorted(rows) == sorted(kind.model_fields)


def test_every_field_of_a_task_record_is_described():
    page = DOCS / "reference/hooks.md"
    fields = {**TaskRecord.model_fields, **LabelFormat.model_fields}
    for name, field in fields.items():
        has_row(section(page, "Task records"), name, field, page.name)


def test_every_hook_is_described():
    page = DOCS / "reference/hooks.md"
    functions = {n: f for n, f in vars(hooks).items() if hasattr(f, f"{hooks.PROJECT}_spec")}
    assert functions
    for name, function in functions.items():
        text = flat(section(page, name))
        assert flat(inspect.getdoc(function)) in text, f"{page.name}, {name}: says another thing"
        signature = str(inspect.signature(function)).replace("'", "")
        assert f"`{signature}`" in text, f"{page.name}, {name}: is {signature}"


def test_every_reference_is_described():
    """The fields of specs that name code, each with what it leads to."""
    rows = re.findall(r"^\| `(\w+\.\w+)` \|", prose(DOCS / "reference/hooks.md"), re.M)
    assert sorted(rows) == sorted(
        f"{kind.__name__}.{name}"
        for kind in (*RECORDS, *TASK_RECORDS)
        for name, field in kind.model_fields.items()
        if spec.REFERENCE in (getattr(item, "pattern", "") for item in field.metadata)
    )


def test_every_field_of_an_evaluation_is_described():
    # Read, not imported: the package behind it imports torch.
    code = ast.parse((ROOT / "kivfm_core/evaluation/result.py").read_text(encoding="utf-8"))
    page = DOCS / "reference/run-folder.md"
    for kind in (node for node in code.body if isinstance(node, ast.ClassDef)):
        text = section(page, f"{kind.name}")
        for node in (node for node in kind.body if isinstance(node, ast.AnnAssign)):
            name = ast.unparse(node.target).replace("schema_version", "schema")
            assert f"| `{name}` |" in text, f"{page.name}, {kind.name}: no row for {name}"


def test_every_data_format_and_task_is_described():
    text = prose(DOCS / "how-to/evaluate-on-your-data.md")
    for name in (*FORMATS, *TASKS, KNN.name):
        assert f"| `{name}` |" in text, f"no row for {name}"


# Commands


def walk(command, words=("kivfm",)):
    """Every command with its words, the groups included."""
    yield " ".join(words), command
    if hasattr(command, "list_commands"):
        context = typer.Context(command)
        for name in command.list_commands(context):
            yield from walk(command.get_command(context, name), (*words, name))


COMMANDS = dict(walk(typer.main.get_command(app)))


def flat(text):
    return " ".join(text.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_flag_is_described(name):
    page, command = DOCS / "reference/command-line.md", COMMANDS[name]
    text = section(page, name)
    assert flat(command.help) in flat(text), f"{page.name}, {name}: says {flat(command.help)!r}"
    if name != "kivfm" and hasattr(command, "list_commands"):
        return
    lines = text.splitlines()
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            word = parameter.name.upper()
        else:
            word = " ".join(filter(None, (", ".join(parameter.opts), parameter.metavar)))
        usual = parameter.default
        more = "" if usual is None or isinstance(usual, bool) else f" Default: {usual}."
        row = f"| `{word}` | {parameter.help}{more} |"
        assert row in lines, f"{page.name}, {name}: add\n{row}"
    rows = [line for line in lines if line.startswith("| `")]
    assert len(rows) == len(command.params), f"{page.name}, {name}: describes more than there is"


def test_every_environment_variable_is_described():
    text = prose(DOCS / "reference/command-line.md")
    folders = ("kivfm_core", "cli", "teachers")
    code = "".join(f.read_text(encoding="utf-8") for d in folders for f in (ROOT / d).rglob("*.py"))
    for name in set(re.findall(r"\bKIVFM_[A-Z_]+\b", code)):
        assert f"`{name}" in text, f"{name} is not described"


def find(words):
    """The command that a line means, its name, and the words left."""
    name = "kivfm"
    while len(words) > 0 and f"{name} {words[0]}" in COMMANDS:
        name, words = f"{name} {words[0]}", words[1:]
    assert not words or words[0].startswith("-") or not hasattr(COMMANDS[name], "list_commands"), (
        f"no command is named {name} {words[0]}"
    )
    return name, words


def command_lines(page):
    for language, text in fences(page):
        if language in ("", "sh", "bash"):
            for line in text.replace("\\\n", " ").splitlines():
                found = re.match(r"\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?kivfm\s(.*)", line)
                if found:
                    yield found[1]


@each_page
def test_command_lines_parse(page):
    for line in command_lines(page):
        name, words = find(shlex.split(line, comments=True))
        words = [word for word in words if word not in ("--help", "--no-plugins", "--debug")]
        if hasattr(COMMANDS[name], "list_commands"):
            assert set(words) <= {o for p in COMMANDS[name].params for o in p.opts}, line
            continue
        try:
            context = COMMANDS[name].make_context(name, words)
        except Exception as error:
            pytest.fail(f"{page.relative_to(ROOT)}: kivfm {line}: {error}")
        if context.params.get("sets"):
            build_config(None, {"teachers": "clip"}, context.params["sets"])


@each_page
def test_commands_named_in_passing_exist(page):
    for span in re.findall(r"`(kivfm [^`\n]+)`", prose(page)):
        name, words = find(shlex.split(span)[1:])
        known = {opt for p in (*COMMANDS[name].params, *COMMANDS["kivfm"].params) for opt in p.opts}
        flags = {word for word in words if word.startswith("-")}
        assert flags <= known | {"--help"}, span


@each_page
def test_make_targets_exist(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    code = "\n".join(text for _, text in fences(page))
    for target in re.findall(r"(?:^|`)make ([\w-]+)", f"{prose(page)}\n{code}", re.M):
        assert re.search(rf"^{target}:", makefile, re.M), f"no target {target}"


# Blocks and links


@each_page
def test_blocks_are_valid(page):
    for language, text in fences(page):
        if language == "toml":
            values = tomllib.loads(text)
            if "schema" in values:
                RunConfig.model_validate(values)
        elif language == "json":
            json.loads(text)
        elif language == "python":
            code = compile(text, str(page), "exec")
            if "@hookimpl" in text and "kivfm_register_teachers" in text:
                names = {}
                exec(code, names)
                assert all(isinstance(t, Record) for t in names["kivfm_register_teachers"]())


@each_page
def test_links_resolve(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.relative_to(ROOT)}: {target}"
        if anchor:
            assert anchor in map(slug, headings(file)), f"{page.relative_to(ROOT)}: {target}"


def test_every_page_is_in_the_index():
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    for page in sorted(DOCS.rglob("*.md")):
        path = page.relative_to(DOCS).as_posix()
        assert path == "README.md" or f"({path})" in index, f"docs/README.md does not link {path}"
