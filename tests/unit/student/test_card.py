"""The model card: metadata that hubs read, and what a person has to know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from kivfm_core.composition.composition import Composition
from kivfm_core.errors import UsageError
from kivfm_core.student.bundle import write_bundle
from kivfm_core.student.card import TrainedOn, model_card, write_card
from kivfm_core.student.student import Student

ROW = {
    "teacher": "toypurpose/small", "task": "detection", "metric": "box AP", "pictures": 1234,
    "data": "coco:/home/me/secret/val", "teacher_score": 0.8, "student_score": 0.75,
    "untrained_score": 0.1, "retention": 0.9375, "gain": None,
}  # fmt: skip
BASE = {"metric": "k-NN top-1", "data": "/home/me/knn", "pictures": 20, "limit": 20,
        "base_score": 0.5, "student_score": 0.625}  # fmt: skip
FIDELITY = {**ROW, "teacher": "toybase/small", "task": "fidelity", "metric": "cosine"}
EVALUATION = {"rows": [ROW, FIDELITY], "base": [BASE], "summary": {}}


@pytest.fixture
def bundle(composition: Composition, tmp_path: Path) -> Path:
    data = TrainedOn(folder="photos", images=4321)
    write_bundle(Student(composition), tmp_path / "run/student", data=data)
    return tmp_path / "run/student"


def test_hubs_find_where_it_comes_from(bundle, composition):
    base, purpose = composition.teachers
    weights = purpose.weights.model_copy(update={"source": "hf:org/net@v1/model.safetensors"})
    found = purpose.model_copy(update={"weights": weights})
    plan = composition.model_copy(update={"teachers": (base, found)})
    data = ModelCard(model_card(plan, {}, EVALUATION, "me/net")).data
    assert (data.base_model, data.library_name) == (["org/net"], "kivfm")
    assert data.pipeline_tag == "image-feature-extraction"
    assert data.tags[:2] == ["kivfm", "distillation"]
    assert {*data.tags[2:]} == {"image-classification", "image-segmentation"}
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value) == ("box AP", 0.75)
    assert result.task_type == "object-detection" and result.dataset_name == "val"
    assert result.metric_args is None  # an evaluation of an earlier version has no intervals
    assert data.license == "cc-by-nc-4.0"


def test_unknown_terms_are_no_known_license(composition):
    base, purpose = composition.teachers
    weights = purpose.weights.model_copy(update={"license": "my own"})
    plan = composition.model_copy(
        update={"teachers": (base, purpose.model_copy(update={"weights": weights}))}
    )
    text = model_card(plan, {}, {}, "me/net")
    data = ModelCard(text).data
    assert (data.license, data.license_link) == ("other", "LICENSES.md")
    assert data.base_model is None and data.eval_results is None
    assert "- unknown: toypurpose/small weights (my own)" in text


def test_it_says_from_whom_on_what_and_how_good(bundle):
    before = (bundle / "README.md").read_text()
    assert "It was not measured yet." in before
    assert f'load("{bundle.parent}")' in before
    write_card(bundle, EVALUATION, "me/net")
    text = (bundle / "README.md").read_text()
    assert (
        "| toypurpose/small | detection | box AP | val | 1,234 | 0.800 | 0.750 | 93.8 % |" in text
    )
    assert "| k-NN top-1 | knn | 20 (a part) | 0.500 | 0.625 |" in text
    assert "4,321 images of `photos`" in text and 'load("me/net")' in text
    assert "CC-BY-NC-4.0" in text and "commercial use: no" in text
    assert "/home/me" not in text


def test_it_says_how_sure_a_score_is(composition):
    row = {**ROW, "teacher_interval": [0.77, 0.83], "student_interval": [0.73, 0.78]}
    base = {**BASE, "base_interval": [0.4, 0.6], "student_interval": None}
    text = model_card(composition, {}, {"rows": [row], "base": [base], "draws": 1000}, "me/net")
    assert "| 0.800 ± 0.030 | 0.750 ± 0.025 | 93.8 % |" in text
    assert "| 0.500 ± 0.100 | 0.625 |" in text and "half of the 95 % interval" in text
    (result,) = ModelCard(text).data.eval_results
    assert result.metric_args == {"interval": [0.73, 0.78], "confidence": 0.95}


def test_a_teacher_whose_weights_were_not_there_has_no_score(composition):
    rows = {**ROW, "teacher_score": None, "retention": None}, {**BASE, "base_score": None}
    text = model_card(composition, {}, {"rows": rows[:1], "base": rows[1:]}, "me/net")
    assert "| 1,234 | - | 0.750 | - |" in text and "| 20 (a part) | - | 0.625 |" in text


def test_a_damaged_record_is_refused(bundle):
    record = json.loads((bundle / "student.json").read_text())
    (bundle / "student.json").write_text(json.dumps({**record, "data": {"folder": 3}}))
    with pytest.raises(UsageError, match="damaged"):
        write_card(bundle, None, "me/net")
