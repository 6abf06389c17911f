"""Records of a stranger's run that are damaged, lack a field or hold escape sequences."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from stranger import (
    CONTENTS,
    DEAR,
    RECORDS,
    check_opens_or_says,
    mutated,
    plan_of,
    rewrite,
    shown,
    write,
)

from kivfm_core.errors import KivfmError
from kivfm_core.runs.run import open_run

# A changed record often differs from what the installed plugin declares, which is no error.
pytestmark = pytest.mark.filterwarnings("ignore::kivfm_core.errors.ChangedTeacherWarning")


ESCAPE = "\x1b]0;owned\x07\x1b[31mred\nfake: line"


def test_escape_sequences_are_shown_as_text(run: Path, capsys):
    rewrite(run / "environment.json",
            lambda r: r["weights"]["toybase/small"].update(source=ESCAPE))  # fmt: skip

    def change(record: dict[str, Any]) -> None:
        record["rows"][0].update(teacher=ESCAPE, metric=ESCAPE, data=ESCAPE, bad=1)
        record["base"][0].update(metric=ESCAPE)
        record["skipped"] = [ESCAPE]

    rewrite(run / "evaluation.json", change)
    code, text = shown(capsys, "runs", "show", str(run))
    assert code == 0 and "\x1b" not in text and "\x07" not in text and r"\x1b[31mred" in text
    rewrite(run / "composition.json", lambda r: plan_of(r)["teachers"][0].update(name=ESCAPE))
    code, text = shown(capsys, "runs", "list", str(run.parent))
    assert code == 0 and "\x1b" not in text and r"\x1b[31mred" in text
    with pytest.raises(KivfmError) as caught:
        open_run(run)
    assert "\x1b" not in str(caught.value) + caught.value.message


@pytest.mark.parametrize("file", RECORDS)
@pytest.mark.parametrize("name", CONTENTS)
def test_damaged_records(run: Path, file: str, name: str, capsys):
    (run / file).write_bytes(CONTENTS[name])
    check_opens_or_says(run, file, capsys)


@pytest.mark.parametrize("file", RECORDS)
def test_records_that_lack_a_field(run: Path, file: str, capsys):
    text = (run / file).read_text()
    record = tomllib.loads(text) if file.endswith(".toml") else json.loads(text)
    for key in record:
        less = {name: value for name, value in record.items() if name != key}
        write(run / file, less)
        check_opens_or_says(run, file, capsys)


@pytest.mark.parametrize("file", ["composition.json", "config.toml", "environment.json"])
def test_a_damaged_run_is_a_row_with_its_cause_beside_the_rest(run: Path, file: str, capsys):
    """Listing is no finding; the run itself, if asked for, is one."""
    shutil.copytree(run, run.parent / "b")
    (run / file).write_bytes(b"\xff")
    code, text = shown(capsys, "runs", "list", str(run.parent))
    assert code == 0 and f"{run} is unreadable: {run / file} is damaged: " in text
    assert f"{run.parent / 'b'} " in text and "Traceback" not in text
    code, text = shown(capsys, "runs", "list", str(run.parent), "--json")
    causes = {record["run"]: record["cause"] for record in json.loads(text)["runs"]}
    assert code == 0 and causes[str(run.parent / "b")] is None
    assert causes[str(run)].startswith(f"{run / file} is damaged: ")
    code, text = shown(capsys, "runs", "show", str(run))
    assert code == 2 and f"{run / file} is damaged" in text


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (("adapter", "taps", 1, "module"), "has no attribute"),
        (("teachers", 1, "tasks", 0, "task"), "does not solve classification"),
    ],
)
def test_a_students_plan_that_names_what_is_not_there(run: Path, place: Any, said: str):
    file = run / "student/student.json"
    write(file, mutated(json.loads(file.read_text()), ("composition", *place), "other"))
    for way in ("predict", "evaluate"):
        with pytest.raises(KivfmError, match=said):
            DEAR[way](run)
