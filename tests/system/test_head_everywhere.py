"""A run with a head goes wherever a run goes: no command takes it for a teacher that can be run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from kivfm_cli.app import main
from kivfm_core.errors import KivfmError
from kivfm_core.models.open import open_model
from kivfm_core.playing.session import Ask, Session
from kivfm_core.reporting.page import render_page
from kivfm_core.run_files import RunFiles
from kivfm_core.scenes.write import write_scenes
from kivfm_core.student.bundle import load_student

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")

TINY = "--steps 2 --batch-size 2 --image-size 64 --set optim.calibration=4 --set data.workers=0"


MADE = {"head": (), "base": ("--base-alone",), "tuned": ("--unfreeze", "all", "--keep", "3")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two nano teachers, and heads on it, on its base alone, and trained with it."""
    made = tmp_path_factory.mktemp("heads")
    write_scenes(made / "scenes", train=4, val=6, per_class=0)
    images, val = made / "scenes/train/images", made / "scenes/val"
    words = ["--teachers", "dino/nano,segmenter/nano", "--data", str(images), *TINY.split()]
    assert main(["distill", *words, "--out", str(made / "run")]) == 0
    head = f"--task semantic-segmentation --data {val} --val {val} --steps 2 --name mine".split()
    for name, more in MADE.items():
        out = ["--out", str(made / name)]
        assert main(["head", str(made / "run"), *head, *more, *out]) == 0
    return made


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert code == 0, err
    return out


@pytest.mark.parametrize("name", MADE)
def test_it_is_reported(folder: Path, name: str, capsys: pytest.CaptureFixture[str]):
    run(capsys, "evaluate", folder / name, "--data", folder / "scenes/val")
    run(capsys, "report", folder / name, "--data", folder / "scenes/train/images", "--images", "2")
    page = (folder / name / "report.html").read_text()
    assert "head/mine" in page and "weights are not on this machine" not in page
    teachers = "1 teacher" if name == "base" else "2 teachers"
    assert f"stands in for {teachers}, and has 1 head trained on labels" in page
    # It has a row of its own, and no losses that are still to come.
    (record,) = (folder / name / "heads").glob("*.json")
    assert str(json.loads(record.read_text())["settings"]["val"]) in page
    assert "Nothing was distilled in this run" in page and "are recorded yet" not in page
    record.write_text('{"settings": {}}')
    with pytest.raises(KivfmError, match=r"head--mine\.json is damaged"):
        render_page(RunFiles(folder / name))


def test_models_with_heads_are_compared(folder: Path, capsys: pytest.CaptureFixture[str]):
    data = f"semantic-segmentation={folder / 'scenes/val'}"
    text = run(capsys, "compare", folder / "base", folder / "head", "--data", data, "--json")
    rows = {(Path(r["model"]).name, r["teacher"]): r for r in json.loads(text)["rows"]}
    assert rows["base", "head/mine"]["difference"] is None
    assert rows["head", "head/mine"]["difference_interval"] is not None


def test_its_hub_folder_has_the_head_and_says_that_labels_were_used(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    images = folder / "scenes/train/images"
    dry = ("--dry-run", tmp_path / "up", "--samples", images)
    run(capsys, "push", folder / "head", "me/mine", *dry)
    card = (tmp_path / "up/README.md").read_text()
    assert "Trained on labels: head/mine." in card
    assert (tmp_path / "up/decoders/head--mine.safetensors").is_file()


@pytest.mark.parametrize("name", ["head", "tuned"])
def test_it_teaches_another_student(folder: Path, tmp_path: Path, name: str):
    words = ["--teachers", f"dino/nano,{folder / name}", "--data",
             str(folder / "scenes/train/images"), *TINY.split()]  # fmt: skip
    assert main(["distill", *words, "--out", str(tmp_path / "next")]) == 0
    student = load_student(tmp_path / "next")
    taught = student.composition.teachers[1]
    assert "semantic-segmentation" in {task.task for task in taught.tasks}


def test_its_student_learns_further_teachers_and_keeps_the_head(folder: Path, tmp_path: Path):
    words = ["--from", str(folder / "head"), "--add-teacher", "clip/nano", "--data",
             str(folder / "scenes/train/images"), *TINY.split()]  # fmt: skip
    assert main(["distill", *words, "--out", str(tmp_path / "more")]) == 0
    names = [spec.name for spec in load_student(tmp_path / "more").composition.teachers]
    assert names == ["dino/nano", "segmenter/nano", "head/mine", "clip/nano"]


def test_it_is_played_with_and_nothing_stands_beside_a_head(folder: Path):
    session = Session(open_model(str(folder / "head"), "cpu"))
    absent = {one["name"]: one["absent"] for one in session.about()["teachers"]}
    assert absent == {
        "dino/nano": None,
        "segmenter/nano": None,
        "head/mine": "it is a head, with no teacher behind it",
    }
    image = Image.open(next((folder / "scenes/val/images").iterdir())).convert("RGB")
    found = session.predict(image, Ask(task=("semantic-segmentation",)))["results"]
    assert [one["teacher"] for one in found] == ["segmenter/nano", "head/mine"]
    assert len(session.features(image, Ask(teacher=2))["results"]) == 1
    with pytest.raises(KivfmError, match="head/mine is not here: it is a head"):
        session.predict(image, Ask(teacher=2))


def test_agreement_is_of_the_teachers_alone(folder: Path, capsys: pytest.CaptureFixture[str]):
    images = folder / "scenes/train/images"
    text = run(capsys, "evaluate", folder / "head", "--agreement", "--data", images, "--json")
    assert {row["teacher"] for row in json.loads(text)["rows"]} == {"dino/nano", "segmenter/nano"}
