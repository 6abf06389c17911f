"""Upstream's checkpoints, as upstream saves them, give what the unfolded network gives."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kivfm_core.errors import WeightsError
from kivfm_core.geometry import plan_frame
from kivfm_core.teacher import Levels, load_teacher
from kivfm_yolox.head import Head
from kivfm_yolox.layers import Conv
from kivfm_yolox.model import build_encoder
from kivfm_yolox.plugin import SIZES, spec

SIDE = 64
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


class Unfolded(nn.Module):
    """The block as upstream trains it: convolution without bias, batch norm, SiLU."""

    def __init__(self, folded: nn.Conv2d) -> None:
        super().__init__()
        shape = folded.in_channels, folded.out_channels, folded.kernel_size, folded.stride
        self.conv = nn.Conv2d(*shape, folded.padding, groups=folded.groups, bias=False)
        self.bn = nn.BatchNorm2d(folded.out_channels, eps=1e-3, momentum=None)
        nn.init.uniform_(self.bn.weight, 0.5, 1.5)
        nn.init.normal_(self.bn.bias)

    def forward(self, x):
        return F.silu(self.bn(self.conv(x)))


def unfold(module: nn.Module) -> nn.Module:
    for name, child in module.named_children():
        setattr(module, name, Unfolded(child.conv) if isinstance(child, Conv) else unfold(child))
    return module


def canvases(count: int) -> torch.Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) ** 2


def upstream_input(x: torch.Tensor, legacy: bool) -> torch.Tensor:
    return (x - MEAN) / STD if legacy else x.flip(1) * 255


class Upstream(nn.Module):
    """Upstream's network: its keys, its order of work; batch norm calibrated on some canvases."""

    def __init__(self, size: str, legacy: bool) -> None:
        super().__init__()
        self.teacher, self.legacy = spec(size, SIZES[size]), legacy
        self.backbone, self.head = unfold(build_encoder(self.teacher)), unfold(Head(self.teacher))
        del self.backbone.backbone.stem.center
        self.backbone.backbone.stem.center = torch.zeros(3)
        with torch.no_grad():
            self(canvases(4))
        self.eval()

    def forward(self, x):
        levels = Levels(self.backbone(upstream_input(x, self.legacy)), [])
        return levels, self.head.raw(levels)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("size", ["nano", "tiny"])
def test_upstream_checkpoint_equals_unfolded_network(size, legacy, tmp_path):
    torch.manual_seed(0)
    upstream = Upstream(size, legacy)
    file = tmp_path / f"yolox_{size}.pth"
    torch.save({"model": upstream.state_dict(), "start_epoch": 300, "optimizer": {}}, file)
    teacher = load_teacher(upstream.teacher, file)
    x, frame = canvases(2), plan_frame((SIDE, SIDE), upstream.teacher.input)
    with torch.no_grad():
        levels, raw = upstream(x)
        ours = teacher.encode(x, [frame] * 2)
        ours_raw = teacher.decoders.part("detection").raw(ours)
    for name in levels:
        torch.testing.assert_close(ours[name], levels[name], rtol=1e-2, atol=1e-2)
    for a, b in zip(ours_raw, raw, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-2)


def test_wrong_files_are_refused(tmp_path):
    tiny = Upstream("tiny", False)
    file = tmp_path / "file.pth"
    torch.save({"model": tiny.state_dict()}, file)
    with pytest.raises(WeightsError, match="do not fit yolox/nano"):
        load_teacher(spec("nano", SIZES["nano"]), file)
    torch.save({"fc.weight": torch.zeros(2, 2)}, file)
    with pytest.raises(WeightsError, match="neither upstream's keys"):
        load_teacher(spec("nano", SIZES["nano"]), file)
    state = tiny.state_dict()
    del state["head.stems.1.bn.running_var"]
    torch.save({"model": state}, file)
    with pytest.raises(WeightsError, match="running_var"):
        load_teacher(tiny.teacher, file)
