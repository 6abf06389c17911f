"""Five sizes, with and without masks; what is decoded is what the papers say.

That the small ones are what they declare, the conformance kit checks.
"""

import math

import pytest
import torch

from kivfm_core.composition.compose import compose
from kivfm_core.composition.summary import summarize
from kivfm_core.config import RunConfig
from kivfm_core.errors import WeightsError
from kivfm_core.geometry import plan_frame
from kivfm_core.teacher import Levels, LoadedTeacher, load_teacher
from kivfm_yolov8.head import BINS, _masks
from kivfm_yolov8.model import build_encoder
from kivfm_yolov8.plugin import kivfm_register_teachers

SPECS = {teacher.name: teacher for teacher in kivfm_register_teachers()}
NANO, SEGMENTER = SPECS["yolov8/n"], SPECS["yolov8/n-seg"]
# Parameters of upstream's whole networks with batch norm folded, by its documentation; 16 of them
# are the distances 0 to 15, no parameters here.
PUBLISHED = {
    "yolov8/n": 3_151_904,
    "yolov8/s": 11_156_544,
    "yolov8/m": 25_886_080,
    "yolov8/l": 43_668_288,
    "yolov8/x": 68_200_608,
    "yolov8/n-seg": 3_404_320,
}


def levels(teacher, side, of=torch.zeros):
    """Levels of one square canvas."""
    tensors = {x.name: of(1, x.channels, *x.grid((side, side))) for x in teacher.levels}
    return Levels(tensors, [plan_frame((side, side), teacher.input)])


def test_five_sizes_twice_and_nano_is_the_default():
    names = [f"yolov8/{size}" for size in "nsmlx"]
    assert list(SPECS) == names + [f"{name}-seg" for name in names]
    assert NANO.aliases == ("yolov8",)
    assert [task.task for task in NANO.tasks] == ["detection"]
    assert [task.task for task in SEGMENTER.tasks] == ["detection", "instance-segmentation"]


@pytest.mark.parametrize("teacher", SPECS.values(), ids=SPECS)
def test_declared_and_published_parameters(teacher):
    with torch.device("meta"):
        encoder = build_encoder(teacher)
        whole = LoadedTeacher(teacher)
    assert sum(p.numel() for p in encoder.parameters()) == teacher.parameters
    if teacher.name in PUBLISHED:
        assert sum(p.numel() for p in whole.parameters()) + BINS == PUBLISHED[teacher.name]


def test_boxes_of_a_cell():
    """Each side is the expected distance, in strides, from the cell's center."""
    teacher = LoadedTeacher(NANO)
    head = teacher.decoders.part("detection")
    for tower in (*head.box, *head.cls):
        torch.nn.init.zeros_(tower[2].weight)
        torch.nn.init.constant_(tower[2].bias, 0)
    bias = torch.full((4, BINS), -100.0)
    bias[0, 1] = bias[1, 2] = bias[2, 3] = bias[3, 4] = bias[3, 5] = 0  # 1, 2, 3, 4.5 strides
    head.box[0][2].bias.data = bias.flatten()
    found = head.candidates(levels(NANO, 64))
    assert found.boxes.shape == (1, 64 + 16 + 4, 4) and found.scores.shape == (1, 84, 80)
    # The cell (1, 2) of stride 8 has its center at x = 20, y = 12.
    torch.testing.assert_close(found.boxes[0, 8 + 2], torch.tensor([12.0, -4.0, 44.0, 48.0]))
    # Elsewhere all distances are equally likely: 7.5 strides, of the last cell's 32 pixels.
    last = torch.tensor([48.0 - 240, 48.0 - 240, 48.0 + 240, 48.0 + 240])
    torch.testing.assert_close(found.boxes[0, -1], last)
    assert (found.scores == 0.5).all()


def test_masks_end_at_their_boxes():
    weights = torch.tensor([[1.0, 0.0], [0.0, -1.0]])
    prototypes = torch.ones(2, 4, 5)
    boxes = torch.tensor([[5.0, 0.0, 14.0, 8.0], [0.0, 0.0, 20.0, 16.0]])
    masks = _masks(weights, prototypes, boxes)  # cells of 4 pixels
    inside = torch.zeros(4, 5)
    inside[:2, 1:4] = 1 / (1 + math.exp(-1))
    torch.testing.assert_close(masks[0], inside)
    torch.testing.assert_close(masks[1], torch.full((4, 5), 1 / (1 + math.e)))


def test_decoder_survives_wild_levels():
    teacher = LoadedTeacher(SEGMENTER)
    wild = levels(SEGMENTER, 320, lambda *shape: 1e4 * torch.randn(*shape))
    found = teacher.decode("instance-segmentation", wild).to_original(wild.frames)[0]
    assert 0 < len(found["boxes"]) <= 300 and found["boxes"].isfinite().all()
    assert found["masks"].shape == (len(found["boxes"]), 320, 320)


def test_a_student_inherits_the_weights_license():
    plan = summarize(compose(RunConfig(teachers=("dino/nano", "yolov8/n-seg"))))
    assert plan["license"]["strictest"] == "AGPL-3.0"
    told = "pass derived works on under the same license, over a network too (AGPL-3.0)"
    assert told in plan["license"]["conditions"]


def test_weights_that_are_not_here_are_asked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="yolov8/n ") as error:
        load_teacher(NANO)
    assert "--weights yolov8/n=FILE" in error.value.hint
