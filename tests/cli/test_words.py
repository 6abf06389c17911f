"""`kivfm predict` by words, from a student none of whose teachers segments by words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from toy_pictures import write_pictures

from kivfm_cli import app
from kivfm_core.scenes.write import write_scenes

TASK = "open-vocabulary-segmentation"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "photos")
    return tmp_path


def kivfm(capsys: Any, *words: str) -> tuple[int, str, str]:
    code = app.main([*words])
    return code, *capsys.readouterr()


def test_words_find_places(folder: Path, capsys: Any) -> None:
    code, _, err = kivfm(
        capsys, "distill", "--teachers", "dino/nano,clip/nano,sam/nano,segmenter/nano",
        "--recipe", "kpu-joint", "--data", "photos", "--steps", "2", "--batch-size", "2",
        "--image-size", "64", "--set", "optim.calibration=8", "--out", "runs/words",
    )  # fmt: skip
    assert code == 0 and "the others' shared coordinates explain" in err
    image = "photos/00.png"
    given = ("predict", "runs/words", image, "--task", TASK, "--labels", "a ring,a star")
    code, out, _ = kivfm(capsys, *given, "-o", "out.png")
    assert code == 0 and Path("out.png").is_file() and out.endswith("written: out.png\n")
    code, out, _ = kivfm(capsys, *given, "--json")
    rows = json.loads(out)["classes"]
    assert {row["label"] for row in rows} <= {"a ring", "a star"}
    assert all(0 < row["share"] <= 1 for row in rows)
    masks = ("predict", "runs/words", image, "--task", "text-segmentation")
    code, out, _ = kivfm(capsys, *masks, "--labels", "a ring,a star", "-o", "masks.png", "--json")
    objects = json.loads(out)["objects"]
    assert code == 0 and Path("masks.png").is_file()
    assert {row["label"] for row in objects} <= {"a ring", "a star"}
    assert all(row["score"] > 0.5 and row["area"] > 0 for row in objects)
    code, out, _ = kivfm(capsys, "predict", "runs/words", image, "--task", "all",
                         "--labels", "ring,star")  # fmt: skip
    assert code == 0 and f"{TASK}, words/clip--nano" in out and "text-segmentation, words" in out
    code, _, err = kivfm(capsys, "predict", "runs/words", image, "--task", TASK)
    assert code == 2 and "needs class names" in err

    code, out, _ = kivfm(capsys, "embed", "runs/words", "photos", "-o", "z.npz", "--latent")
    assert code == 0 and ", z [64]" in out
    search = ("embed", "runs/words", "z.npz", "--nearest", "3", "--json", "--query")
    for query in (["a ring"], [image], [image, "--box", "5,5,40,40"], [image, "--mask", image]):
        code, out, _ = kivfm(capsys, *search, *query)
        hits = json.loads(out)["hits"]
        assert code == 0 and len(hits) == 3 and all(-1 <= hit["score"] <= 1.001 for hit in hits)
    code, _, err = kivfm(capsys, "embed", "runs/words", "photos", "-o", "z.npz", "--box", "0,0,9,9")
    assert code == 2 and "parts of --query" in err

    write_scenes(folder / "scenes", train=1, val=4, seed=3)
    tasks = f"{TASK},text-segmentation,semantic-segmentation"
    data = ("--data", "scenes/val", "--tasks", tasks)
    code, out, _ = kivfm(capsys, "evaluate", "runs/words", *data)
    assert code == 0 and "words/clip--nano" in out
    summary = json.loads(Path("runs/words/evaluation.json").read_text())["summary"]
    assert summary["retention_mean"] is not None  # of the teachers: words have none behind them
    code, out, _ = kivfm(capsys, "runs", "show", "runs/words")
    assert code == 0 and "what they share: by" in out and "all others" in out


def test_other_students_have_no_such_task(folder: Path, capsys: Any) -> None:
    code, _, err = kivfm(capsys, "predict", "clip/nano", "photos/00.png", "--task", TASK,
                         "--labels", "a ring")  # fmt: skip
    assert code == 2 and "clip/nano does not solve open-vocabulary-segmentation" in err
