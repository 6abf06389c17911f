"""A student of a backbone's architecture instead of a teacher's: trained from scratch."""

import pytest
import torch
from toy_pictures import write_pictures

from kivfm_core.config import build_config
from kivfm_core.distillation.engine import distill
from kivfm_core.geometry import plan_frame
from kivfm_core.student.bundle import load_student


@pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")
def test_it_answers_as_its_teachers_do(tmp_path):
    flags = {
        "teachers": "dino/nano,segmenter/nano",
        "student.model": "timm/resnet10t",
        "student.weights": "none",
        "data.path": str(write_pictures(tmp_path / "pictures")),
        "data.image_size": 96,
        "optim.steps": 2,
        "optim.batch_size": 2,
        "optim.calibration": 4,
        "optim.warmup": 1,
    }
    run = distill(build_config(None, flags), out=tmp_path / "run")
    student = load_student(run)
    features = student(torch.rand(1, 3, 96, 96))
    assert features["x"].shape[0] == 1 and features["V"].ndim == 4
    teacher = student.stand_in("segmenter")
    frame = plan_frame((96, 96), teacher.spec.input)
    with torch.no_grad():
        levels = teacher.encode(torch.rand(1, 3, *frame.canvas), [frame])
        logits = teacher.decode("semantic-segmentation", levels).logits
    assert levels["dense"].shape == (1, 112, 12, 12)
    assert logits.isfinite().all() and logits.std() > 0
