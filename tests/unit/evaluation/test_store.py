"""What an evaluation writes: beside what is there, whole or not at all, checked before."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from painter import FakeRun

from kivfm_cli import app
from kivfm_cli.commands.evaluate import render
from kivfm_core import files
from kivfm_core.errors import KivfmError, UsageError
from kivfm_core.evaluation.evaluate import evaluate
from kivfm_core.evaluation.result import Evaluation
from kivfm_core.evaluation.store import find_place
from kivfm_core.models.open import open_model


def written(run: Path) -> dict[str, Any]:
    return json.loads((run / "evaluation.json").read_text())


def test_a_part_never_replaces_the_whole(colors: Path, tmp_path: Path) -> None:
    run = FakeRun(tmp_path)
    whole = evaluate(run, [str(colors)]).model_dump(mode="json", by_alias=True)
    part = evaluate(run, [str(colors)], tasks=["classification"], limit=6)
    assert [(row.pictures, row.limit) for row in part.rows] == [(6, 6)]
    found = written(tmp_path)
    assert found["rows"][:2] == whole["rows"] and found["base"] == whole["base"]
    assert (found["rows"][2]["task"], found["rows"][2]["limit"]) == ("classification", 6)
    assert found["summary"] == whole["summary"] | {"left_out": 1}
    # The same again takes its own place, and a limit that leaves nothing out is none.
    evaluate(run, [str(colors)], tasks=["classification"], limit=6)
    evaluate(run, [str(colors)], tasks=["classification"], limit=15)
    assert len(written(tmp_path)["rows"]) == 3


def test_other_data_and_tasks_are_added(colors: Path, tmp_path: Path) -> None:
    run = FakeRun(tmp_path)
    evaluate(run, [f"knn={colors}"], tasks=["knn"])
    evaluate(run, [f"classification={colors}"], tasks=["classification"])
    found = written(tmp_path)
    assert len(found["base"]) == 2 and len(found["rows"]) == 1
    assert found["data"] == [f"knn={colors}", f"classification={colors}"]


def test_what_is_measured_after_all_is_no_longer_skipped(
    colors: Path,
    tmp_path: Path,
) -> None:
    run, classes = FakeRun(tmp_path), colors / "classes"
    names = [folder.name for folder in classes.iterdir()]
    for name in names:
        (classes / name).rename(classes / f"not {name}")
    evaluate(run, [str(colors)])
    assert len(written(tmp_path)["skipped"]) == 1
    for name in names:
        (classes / f"not {name}").rename(classes / name)
    evaluate(run, [str(colors)])
    assert written(tmp_path)["skipped"] == []


def test_results_of_another_student_go(colors: Path, tmp_path: Path) -> None:
    run = FakeRun(tmp_path)
    evaluate(run, [str(colors)])
    (tmp_path / "student").mkdir()
    (tmp_path / "student/student.safetensors").write_bytes(b"another")
    evaluate(run, [f"knn={colors}"], tasks=["knn"])
    assert written(tmp_path)["rows"] == []


def test_a_file_of_its_own(colors: Path, tmp_path: Path) -> None:
    run, own = FakeRun(tmp_path), tmp_path / "own.json"
    evaluate(run, [str(colors)])
    before = (tmp_path / "evaluation.json").read_bytes()
    for limit in (6, 9):
        evaluate(run, [str(colors)], limit=limit, out=own)
        found = Evaluation.model_validate_json(own.read_bytes())
        assert {row.limit for row in found.rows} == {limit} == {found.summary.limit}
    assert (tmp_path / "evaluation.json").read_bytes() == before


def test_two_evaluations_at_once_lose_nothing(colors: Path, tmp_path: Path) -> None:
    result = evaluate(FakeRun(tmp_path), [str(colors)])
    row, place = result.rows[1], find_place(open_model(FakeRun(tmp_path), "cpu"))
    assert place is not None

    def add(number: int) -> None:
        own = row.model_copy(update={"data": f"data {number}"})
        place.write(result.model_copy(update={"rows": (own,)}))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(24)))
    sources = {row["data"] for row in written(tmp_path)["rows"]}
    assert sources == {str(colors), *(f"data {number}" for number in range(24))}


def test_what_cannot_be_written_is_told_before(
    colors: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*given: object, **more: object) -> None:
        raise AssertionError("measured all the same")

    monkeypatch.setattr(FakeRun, "load_student", never)
    run = FakeRun(tmp_path)
    other = tmp_path / "other.json"
    other.write_text("{}")
    damaged = tmp_path / "photo.jpg"
    damaged.write_bytes(b"\xff\xd8")
    for out in (tmp_path / "nowhere/x.json", tmp_path, other, damaged):
        with pytest.raises(UsageError):
            evaluate(run, [str(colors)], out=out)
    assert (other.read_text(), damaged.read_bytes()) == ("{}", b"\xff\xd8")
    with pytest.raises(UsageError, match="cannot be written"):
        evaluate(FakeRun(tmp_path / "no run"), [str(colors)])
    (tmp_path / "evaluation.json").write_text('{"torn')
    with pytest.raises(UsageError, match="damaged"):
        evaluate(run, [str(colors)])


def test_a_full_disk_leaves_the_earlier_file(
    colors: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = FakeRun(tmp_path)
    evaluate(run, [str(colors)])
    before = (tmp_path / "evaluation.json").read_bytes()

    def full(path: Path, content: bytes) -> None:
        path.write_bytes(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_write_new", full)
    with pytest.raises(KivfmError, match="No space left on device"):
        evaluate(run, [str(colors)], limit=6)
    assert (tmp_path / "evaluation.json").read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".partial")]


def test_the_table_is_printed_though_it_cannot_be_written(
    colors: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        "kivfm_core.models.open.open_model", lambda *_: open_model(FakeRun(tmp_path), "cpu")
    )

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_write_new", full)
    code = app.main(["evaluate", str(tmp_path), "--data", str(colors)])
    out, err = capsys.readouterr()
    assert code == 1 and "painter/one" in out and "written" not in out
    assert "evaluation.json cannot be written: No space left on device" in err
    assert "--out FILE" in err


def test_tables_say_what_they_rest_on(
    colors: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = evaluate(FakeRun(tmp_path), [str(colors)], limit=6)
    render(result.model_dump(mode="json", by_alias=True))
    out = capsys.readouterr().out
    assert "6 (a part)" in out and "of at most 6 images of each source" in out
