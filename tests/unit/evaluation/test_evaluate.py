"""From data and a run to `evaluation.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from oracle import Oracle, oracle_spec
from painter import BASE, COLORS, PAINTER, FakeRun, FakeStudent, sees
from PIL import Image
from torch import Tensor

from kivfm_cli.commands.evaluate import render
from kivfm_core.data.batches import batches
from kivfm_core.data.sources import load_data, parse_source
from kivfm_core.errors import DataError, KivfmError, UsageError
from kivfm_core.evaluation.evaluate import evaluate, evaluate_teacher
from kivfm_core.evaluation.measure import measure
from kivfm_core.evaluation.result import Row, gain, retention, summarize
from kivfm_core.geometry import Frame
from kivfm_core.models import model as module
from kivfm_core.models import open as opening
from kivfm_core.progress import Silent
from kivfm_core.spec import InputContract
from kivfm_core.tasks.classification import CLASSIFICATION
from kivfm_core.teacher import Levels


class Counted(Silent):
    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []
        self.total = 0

    def start(self, total: int, done: int = 0) -> None:
        self.total = total

    def step(self, info: dict[str, Any]) -> None:
        self.told.append((info["what"], info["step"], self.total))


def test_a_run_is_measured_and_written(colors: Path, tmp_path: Path) -> None:
    counted = Counted()
    result = evaluate(FakeRun(tmp_path), [str(colors)], progress=counted)
    assert counted.told[-1] == ("student: knn", 15, 15)
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert written == result.model_dump(mode="json", by_alias=True)
    assert written["schema"] == 1 and written["skipped"] == []

    fidelity, painter = written["rows"]
    assert (fidelity["teacher"], fidelity["task"], fidelity["base"]) == (
        "base/one",
        "fidelity",
        True,
    )
    assert fidelity["student_score"] == pytest.approx(1.0)
    assert fidelity["data"] == str(colors)
    assert (painter["teacher"], painter["task"], painter["metric"]) == (
        "painter/one",
        "classification",
        "top-1",
    )
    assert (painter["teacher_score"], painter["untrained_score"]) == (1.0, 0.0)
    assert (painter["student_score"], painter["retention"], painter["gain"]) == (1.0, 1.0, 1.0)
    assert painter["base_score"] is None and painter["pictures"] == 15
    assert painter["bound_score"] is None
    assert written["base"] == [
        {
            "metric": metric,
            "data": str(colors),
            "pictures": 15,
            "bad": 0,
            "limit": None,
            "chance_score": pytest.approx(1 / 3),
            "base_score": 1.0,
            "student_score": 1.0,
            "base_interval": [1.0, 1.0],
            "student_interval": [1.0, 1.0],
        }
        for metric in ("k-NN top-1", "linear probe top-1")
    ]
    assert written["summary"] == {
        "retention_mean": 1.0,
        "retention_min": 1.0,
        "gain_mean": 1.0,
        "gain_min": 1.0,
        "limit": None,
        "left_out": 0,
        "retention_mean_interval": [1.0, 1.0],
        "retention_min_interval": [1.0, 1.0],
        "gain_mean_interval": [1.0, 1.0],
        "gain_min_interval": [1.0, 1.0],
        "agreement_mean": None,
        "agreement_min": None,
        "agreement_mean_interval": None,
        "agreement_min_interval": None,
    }


def test_what_was_passed_over_is_reported_once(colors: Path, tmp_path: Path) -> None:
    class Messages(Silent):
        def __init__(self) -> None:
            self.all: list[str] = []

        def message(self, text: str) -> None:
            self.all.append(text)

    (colors / "classes/a red/notes.txt").write_text("none of the images")
    messages = Messages()
    evaluate(FakeRun(tmp_path), [str(colors)], progress=messages)
    (note,) = messages.all  # though classification and k-NN read the same labels
    assert note.startswith(f"{colors}: files that are no images, passed over: 1")


def test_a_narrow_latent_bounds_what_a_student_can_reach(colors: Path, tmp_path: Path) -> None:
    fidelity, painter = evaluate(FakeRun(tmp_path, narrow=True), [str(colors)]).rows
    assert (painter.teacher_score, painter.student_score) == (1.0, 1.0)
    assert painter.bound_score == pytest.approx(1 / 3)  # of gray, all is taken for one of three
    assert fidelity.bound_score is None


def test_only_some_tasks_and_images(colors: Path, tmp_path: Path) -> None:
    result = evaluate(FakeRun(tmp_path), [f"knn={colors}"], tasks=["knn"], limit=6)
    assert not result.rows and result.base[0].pictures == 6
    with pytest.raises(UsageError, match="unknown task 'flying'"):
        evaluate(FakeRun(tmp_path), [str(colors)], tasks=["flying"])
    for name, meant in (("detction", "detection"), ("k-nn", "knn")):
        with pytest.raises(UsageError, match=f"unknown task '{name}'") as caught:
            evaluate(FakeRun(tmp_path), [str(colors)], tasks=[name])
        assert caught.value.hint == f"did you mean {meant}?"


def test_every_model_computes_where_it_is_told(
    colors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[str] = []

    class There(Oracle):
        def __init__(self, model: Any, device: torch.device) -> None:
            super().__init__(model.spec, getattr(model, "answer", None))
            self.model, self.device = model, device

        def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
            encoded.append(f"{self.spec.name} on {self.device}")
            return self.model.encode(images, frames)

    monkeypatch.setattr(opening, "find_device", torch.device)
    monkeypatch.setattr(module, "on_device", There)
    seen: list[str] = []
    for kind in (Oracle, FakeStudent):
        encode = kind.encode

        def watched(self: Any, *given: Any, encode: Any = encode) -> Levels:
            seen.append(self.spec.name)
            return encode(self, *given)

        monkeypatch.setattr(kind, "encode", watched)
    evaluate(FakeRun(tmp_path), [str(colors)], accelerator="meta")
    assert set(seen) == {"base/one", "painter/one", "student"}
    assert encoded == [f"{name} on meta" for name in seen]


def test_data_that_fits_nothing(colors: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="painter/one, classification: no data for it"):
        evaluate(FakeRun(tmp_path), [str(tmp_path / "empty")])
    (wrong := tmp_path / "wrong").mkdir()
    Image.new("RGB", (9, 9)).save(wrong / "a.png")
    (wrong / "labels.json").write_text('{"a.png": 5000}')
    with pytest.raises(DataError, match="has the class index 5000") as error:
        evaluate(FakeRun(tmp_path), [str(wrong)], tasks=["classification"])
    assert "no data for it" not in error.value.message
    for name in COLORS:
        (colors / "classes" / name).rename(colors / "classes" / f"not {name}")
    with pytest.raises(DataError, match="none of the data's 3 classes"):
        evaluate(FakeRun(tmp_path), [f"classification={colors}"])
    # Data that nobody asked for by task may fit some tasks only.
    result = evaluate(FakeRun(tmp_path), [str(colors)])
    assert result.base and "none of the data's 3 classes" in result.skipped[0]


def test_a_teacher_alone(colors: Path) -> None:
    assert evaluate_teacher(Oracle(PAINTER, sees()), "classification", str(colors)) == 1.0
    assert evaluate_teacher(Oracle(PAINTER, sees(1)), "classification", str(colors)) == 0.0
    assert evaluate_teacher(Oracle(BASE), "knn", f"folder:{colors}") == 1.0


def test_models_share_canvases_and_tasks_share_a_pass(colors: Path) -> None:
    tasks = {"classification": tuple(COLORS), "zero-shot": "open"}
    models = [Oracle(oracle_spec(tasks), sees()) for _ in range(3)]
    data = load_data(parse_source(str(colors)), CLASSIFICATION)
    scores = measure(models, dict.fromkeys(tasks, data))
    assert [scores[task].values for task in tasks] == [[1.0] * 3, [1.0] * 3]
    assert [model.encoded for model in models] == [15] * 3
    assert models[0].prompts == [{"labels": list(COLORS)}]


@pytest.mark.parametrize("policy", ["stretch", "short-side", "letterbox"])
def test_batches_hold_equal_canvases_and_every_image_once(colors: Path, policy: Any) -> None:
    data = load_data(parse_source(str(colors)), CLASSIFICATION)
    contract = InputContract(policy=policy, size=16)
    seen: list[int] = []
    for batch in batches(data.paths, contract):
        assert {frame.canvas for frame in batch.frames} == {tuple(batch.images.shape[2:])}
        seen += batch.indices
    assert sorted(seen) == list(range(15))


def test_broken_images_are_left_out(colors: Path) -> None:
    (colors / "classes/a red/0.png").write_bytes(b"broken")
    data = load_data(parse_source(str(colors)), CLASSIFICATION)
    score = measure([Oracle(PAINTER, sees())], {"classification": data})["classification"]
    assert (score.values, score.images, score.bad) == ([1.0], 14, 1)
    for path in data.paths:
        path.write_bytes(b"broken")
    with pytest.raises(DataError, match="images are broken"):
        measure([Oracle(PAINTER, sees())], {"classification": data})


def test_what_was_skipped_is_said(
    colors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in (0, 3):
        (colors / f"classes/a red/{i}.png").write_bytes(b"broken")
    written = evaluate(FakeRun(tmp_path), [str(colors)]).model_dump(mode="json", by_alias=True)
    assert [(row["pictures"], row["bad"]) for row in (*written["rows"], *written["base"])] == [
        (13, 2)
    ] * 4
    render(written)
    line = f"skipped, since they cannot be decoded: 2 images of {colors}\n"
    assert line in capsys.readouterr().out


def test_images_and_labels_of_different_size_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(tmp_path / "images/a.png")
    image = {"id": 1, "file_name": "a.png", "width": 16, "height": 12}
    item = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4]}
    content = {"images": [image], "annotations": [item], "categories": [{"id": 1, "name": "cat"}]}
    (tmp_path / "instances.json").write_text(json.dumps(content))
    teacher = Oracle(oracle_spec({"detection": ("cat",)}))
    with pytest.raises(DataError, match="its labels"):
        evaluate_teacher(teacher, "detection", str(tmp_path))


def test_retention_and_gain() -> None:
    assert retention(0.5, 0.4) == pytest.approx(0.8)
    assert retention(0.0, 0.4) is None
    assert gain(0.5, 0.1, 0.3) == pytest.approx(0.5)
    assert gain(0.1, 0.1, 0.3) is None


def test_the_summary_weighs_teachers_alike_and_leaves_the_base_out() -> None:
    def row(teacher: str, kept: float | None, base: bool = False) -> Row:
        scores = dict.fromkeys(("teacher_score", "untrained_score", "student_score"), 0.5)
        about = {"task": "detection", "metric": "m", "data": "d", "pictures": 1}
        return Row(
            teacher=teacher, base_score=None, base=base, retention=kept, **scores, **about
        )  # fmt: skip

    summary = summarize([row("a", 0.2), row("a", 0.6), row("b", 0.8), row("c", 0.0, base=True)])
    assert summary.retention_mean == pytest.approx(0.6)
    assert summary.retention_min == 0.2
    assert summary.gain_mean is None


def test_fidelity_of_an_affine_copy_is_perfect(colors: Path) -> None:
    from kivfm_core.evaluation.fidelity import measure_fidelity

    class Other(Oracle):
        def encode(self, images: torch.Tensor, frames: Any) -> Any:
            return super().encode(torch.rand_like(images), frames)

    data = load_data(parse_source(str(colors)), CLASSIFICATION)
    score = measure_fidelity([Oracle(BASE), Oracle(BASE), Other(BASE)], data)
    assert score.values[:2] == pytest.approx([1.0, 1.0])
    assert score.values[2] < 0.5


def test_fidelity_on_another_grid_is_a_sentence(colors: Path) -> None:
    from kivfm_core.evaluation.fidelity import measure_fidelity

    class Finer(Oracle):
        def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
            found = super().encode(images, frames)
            names = [level.name for level in self.spec.levels]
            return Levels({name: torch.cat([found[name]] * 2) for name in names}, frames)

    data = load_data(parse_source(str(colors / "classes"), ["folder"]), CLASSIFICATION)
    with pytest.raises(KivfmError, match="on another grid than the teacher"):
        measure_fidelity([Oracle(BASE), Finer(BASE)], data)


@pytest.mark.parametrize(("levels", "why"), [((), "gives no level"), (None, "no finite numbers")])
def test_fidelity_needs_numbers_of_every_level_that_is_declared(
    colors: Path, levels: Any, why: str
) -> None:
    from kivfm_core.evaluation.fidelity import measure_fidelity

    class Changed(Oracle):
        def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
            names = [v.name for v in self.spec.levels] if levels is None else levels
            nothing = torch.full((len(images), 3), float("nan"))
            return Levels(dict.fromkeys(names, nothing), frames)

    data = load_data(parse_source(str(colors / "classes"), ["folder"]), CLASSIFICATION)
    with pytest.raises(KivfmError, match=why):
        measure_fidelity([Changed(BASE)], data)
