"""A task and a label format from outside: registered by a plugin, and used to the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import toy
from PIL import Image
from toy_pictures import write_pictures

from kivfm_cli import app
from kivfm_core.config import build_config
from kivfm_core.data.sources import Source, find_data, formats_of, load_data, parse_data
from kivfm_core.distillation.engine import distill
from kivfm_core.errors import DataError, PluginError
from kivfm_core.registry.registry import find_task, get_registry, get_tasks, list_teachers
from kivfm_core.task import LabelFormat, Measured
from kivfm_core.tasks.table import KNN, TASKS
from kivfm_core.testing.checks import run_checks
from kivfm_core.testing.subject import Subject

DAZZLED = toy.LAMP.tasks[0].model_copy(update={"decoder": "toy:dazzled"})
# As the hooks of a plugin give them: data only, so that discovery imports no torch.
PLUGIN = f"""
import json

@hookimpl
def kivfm_register_tasks():
    return [json.loads({toy.BRIGHTNESS.model_dump_json()!r})]

@hookimpl
def kivfm_register_teachers():
    return [json.loads(text) for text in {[
        toy.BASE.model_dump_json(), toy.LAMP.model_dump_json(),
    ]!r}]
"""  # fmt: skip


@pytest.fixture
def lights(tmp_path: Path) -> Path:
    """Images in the toy label format."""
    folder = write_pictures(tmp_path / "lights")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    values = {str(file.relative_to(folder)): i / 12 for i, file in enumerate(files)}
    (folder / "brightness.json").write_text(json.dumps(values))
    return folder


def kivfm(*words: object) -> None:
    assert app.main([str(word) for word in words]) == 0


def test_a_task_from_outside_is_used_to_the_end(install, lights, tmp_path, capsys, monkeypatch):
    install("toy-lights", PLUGIN)
    assert get_tasks()["brightness"] == find_task("brightness") == toy.BRIGHTNESS

    # It is listed,
    monkeypatch.setenv("COLUMNS", "300")
    kivfm("teachers", "list")
    (line,) = [row for row in capsys.readouterr().out.splitlines() if "toylamp" in row]
    assert " bright " in line and line.endswith("ready")
    kivfm("plugins", "list", "--json")
    plugins = json.loads(capsys.readouterr().out)["plugins"]
    (names,) = [p["names"] for p in plugins if p["distribution"] == "toy-lights"]
    assert sorted(names) == ["brightness", "toybase/small", "toylamp/small"]
    kivfm("evaluate", "--help")
    assert "light: brightness.json beside the images. For brightness." in capsys.readouterr().out
    kivfm("predict", "--help")
    assert "brightness: How bright an image is." in capsys.readouterr().out

    # checked,
    lamp = get_registry().resolve("toylamp")
    results = {result.name: result for result in run_checks(Subject(lamp))}
    assert {r.status for r in results.values()} == {"ok", "not checked"}
    assert results["decoders"].status == results["batch"].status == "ok"

    # learned,
    weights = {}
    for spec in (toy.BASE, toy.LAMP):
        weights[spec.name] = str(tmp_path / f"{spec.family}.safetensors")
        toy.save(spec, weights[spec.name])
    flags = {
        "teachers": "toybase,toylamp",
        "weights": weights,
        "data.path": str(lights),
        "optim.steps": 2,
        "optim.batch_size": 4,
        "optim.calibration": 12,
        "optim.warmup": 1,
    }
    run = tmp_path / "run"
    distill(build_config(None, flags), out=run)
    capsys.readouterr()

    # measured,
    kivfm("evaluate", run, "--data", f"light:{lights}", "--tasks", "brightness", "--json")
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["teacher"], row["task"], row["metric"]) == (
        "toylamp/small",
        "brightness",
        "closeness",
    )
    assert row["pictures"] == 12 and 0 < row["teacher_score"] <= 1 and row["retention"] > 0

    # predicted and drawn.
    image = next(path for path in lights.rglob("*") if path.suffix in (".png", ".jpg"))
    out = tmp_path / "out.png"
    kivfm("predict", run, image, "--task", "brightness", "-o", out, "--json")
    (light,) = json.loads(capsys.readouterr().out)["lights"]
    assert 0 <= light["brightness"] <= 1
    with Image.open(out) as drawn, Image.open(image) as original:
        assert drawn.height > drawn.width / original.width * original.height
    kivfm("predict", run, image, "--task", "brightness")
    assert capsys.readouterr().out == f"brightness {light['brightness']:.4g}\n"

    # Without the plugin, the run says what is missing.
    monkeypatch.setenv("KIVFM_PLUGINS", "kivfm-nano")
    get_registry.cache_clear()
    assert app.main(["predict", str(run), str(image), "--task", "brightness"]) != 0
    assert "brightness" in capsys.readouterr().err


def test_the_kit_finds_predictions_of_the_wrong_form(install):
    install("toy-lights", PLUGIN)
    lamp = toy.LAMP.model_copy(update={"tasks": (DAZZLED,)})
    found = {r.name: r for r in run_checks(Subject(lamp)) if r.status == "finding"}
    assert list(found) == ["decoders"]
    assert found["decoders"].message == "the decoder of brightness: a brightness is not in [0, 1]"


def test_a_label_format_from_outside_is_found_by_its_task(lights):
    tasks = {**TASKS, "knn": KNN, "brightness": toy.BRIGHTNESS}
    for text in (str(lights), f"light:{lights}", f"brightness=light:{lights}"):
        ((source,),) = parse_data([text], tasks).values()
        found = load_data(source, toy.BRIGHTNESS, limit=4)
        assert isinstance(found, toy.BrightnessData)
        assert found.values == (0, 3 / 12, 6 / 12, 9 / 12) and found.size(0) is None
    assert find_data(source, TASKS["detection"]) is None
    with pytest.raises(DataError, match=r"looked for brightness\.json beside"):
        load_data(Source(lights.parent), toy.BRIGHTNESS)


def test_a_task_may_mix_own_formats_and_kivfms(lights):
    own = LabelFormat(name="light", read="toy:read_brightness", needs="...")
    mixed = Measured(name="mixed", metric="m", formats=("labels", own, "coco"))
    assert [kind.name for kind in formats_of(mixed)] == ["labels", "light", "coco"]
    wrong = Measured(name="wrong", metric="m", formats=("lables",))
    with pytest.raises(PluginError, match="the label format 'lables'") as caught:
        formats_of(wrong)
    assert "labels, folder, masks, coco" in caught.value.hint


def test_tasks_are_no_teachers(install):
    install("toy-lights", PLUGIN)
    assert "brightness" not in {entry.name for entry in list_teachers()}
