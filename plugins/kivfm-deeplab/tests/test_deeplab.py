"""The segmenter answers on the whole canvas, and scores on real photographs.

That it is what it declares, the conformance kit checks.
"""

from pathlib import Path

import pytest
import torch

from kivfm_core.data.canvas import normalize
from kivfm_core.errors import WeightsError
from kivfm_core.evaluation.evaluate import evaluate_teacher
from kivfm_core.geometry import Frame, plan_frame
from kivfm_core.teacher import load_teacher
from kivfm_deeplab.model import Decoder, Encoder
from kivfm_deeplab.plugin import MNV2_VOC

ASSETS = Path(__file__).parents[4] / "shared" / "assets"
TASK = "semantic-segmentation"


@pytest.fixture
def file(tmp_path):
    """A file in the upstream form: backbone and head side by side, random weights."""
    torch.manual_seed(0)
    path = tmp_path / "deeplab.pth"
    torch.save(Encoder("mobilenetv2_100").state_dict() | Decoder(320, 21).state_dict(), path)
    return path


def test_file_gives_logits_on_the_canvas(file):
    teacher = load_teacher(MNV2_VOC, file)
    x = torch.rand(2, 3, 97, 80)
    frame = Frame((97, 80), (0, 0, 80, 97), (97, 80), (0, 0), (97, 80))
    with torch.no_grad():
        levels = teacher.encode(x, [frame] * 2)
        features = teacher.encoder(normalize(x, MNV2_VOC.input))["dense"]
        head = teacher.decoders.part(TASK)
        pooled = head.pool_conv(features.mean((2, 3), keepdim=True)).relu()
        joined = torch.cat([pooled.expand_as(head.aspp0(features)),
                            head.aspp0(features).relu()], 1)  # fmt: skip
        logits = head.logits(head.project(joined).relu())
        ours = teacher.decode(TASK, levels).logits
    assert ours.shape == (2, 21, 97, 80)
    # The corners of the canvas are the corners of the grid.
    torch.testing.assert_close(ours[..., 0, 0], logits[..., 0, 0])
    torch.testing.assert_close(ours[..., -1, -1], logits[..., -1, -1])


def test_wrong_files_are_refused(file, monkeypatch, tmp_path):
    state = torch.load(file, weights_only=True)
    del state["aspp0.bias"]
    torch.save(state, file)
    with pytest.raises(WeightsError, match=r"aspp0\.bias"):
        load_teacher(MNV2_VOC, file)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError) as error:
        load_teacher(MNV2_VOC)
    assert "--weights deeplab/mnv2-voc=FILE" in error.value.hint


@pytest.mark.assets
@pytest.mark.skipif(not ASSETS.is_dir(), reason=f"{ASSETS} is absent")
def test_scores_on_real_photographs():
    teacher = load_teacher(MNV2_VOC, ASSETS / "weights" / "deeplabv3_mnv2.voc21.pth")
    assert evaluate_teacher(teacher, TASK, str(ASSETS / "data" / "coco_val")) > 0.5


def test_frame_of_a_photo():
    frame = plan_frame((320, 480), MNV2_VOC.input)
    assert (frame.resized, frame.origin, frame.canvas) == ((342, 513), (0, 0), (513, 513))
