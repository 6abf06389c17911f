"""Six sizes; boxes are decoded as the paper says.

That the small ones are what they declare, the conformance kit checks.
"""

import pytest
import torch

from kivfm_core.geometry import plan_frame
from kivfm_core.teacher import Levels, LoadedTeacher
from kivfm_yolox.head import _decode
from kivfm_yolox.model import build_encoder
from kivfm_yolox.plugin import kivfm_register_teachers

SPECS = {teacher.name: teacher for teacher in kivfm_register_teachers()}
NANO = SPECS["yolox/nano"]


def test_six_sizes_and_nano_is_the_default():
    assert list(SPECS) == [f"yolox/{size}" for size in ("nano", "tiny", "s", "m", "l", "x")]
    assert NANO.aliases == ("yolox",)
    assert len(set(NANO.task("detection").labels)) == 80


@pytest.mark.parametrize("teacher", SPECS.values(), ids=SPECS)
def test_declared_parameters(teacher):
    with torch.device("meta"):
        encoder = build_encoder(teacher)
    assert sum(p.numel() for p in encoder.parameters()) == teacher.parameters


def test_boxes_of_a_cell():
    raw = torch.full((1, 7, 2, 3), -100.0)  # two classes on a grid of 2 x 3
    raw[0, :, 1, 2] = torch.tensor([0.25, 0.5, 0.0, torch.log(torch.tensor(2.0)), 100.0, -1.0, 0.0])
    boxes, scores, labels = _decode(raw, stride=8)
    # center (2 + 0.25, 1 + 0.5) * 8, width 8, height 16
    torch.testing.assert_close(boxes[0, 5], torch.tensor([14.0, 4.0, 22.0, 20.0]))
    torch.testing.assert_close(scores[0, 5], torch.tensor(0.5))
    assert labels[0, 5] == 1
    assert scores[0, :5].max() == 0


def test_decoder_survives_wild_levels():
    teacher = LoadedTeacher(NANO)
    frame = plan_frame((64, 48), NANO.input)
    tensors = {level.name: 1e4 * torch.randn(1, level.channels, *level.grid((416, 416)))
               for level in NANO.levels}  # fmt: skip
    found = teacher.decode("detection", Levels(tensors, [frame])).to_original([frame])[0]
    assert found["boxes"].isfinite().all()


def test_no_weights_no_network_is_one_error(monkeypatch, tmp_path):
    from kivfm_core.errors import WeightsError
    from kivfm_core.teacher import load_teacher

    def unreachable(url, timeout):
        assert timeout < 10
        raise OSError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("kivfm_yolox.checkpoint.urlopen", unreachable)
    with pytest.raises(WeightsError, match="yolox/nano") as error:
        load_teacher(NANO)
    assert "--weights yolox/nano=FILE" in error.value.hint
