"""State dictionaries of upstream's layout give what a network of that layout gives."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kivfm_core.errors import WeightsError
from kivfm_core.geometry import plan_frame
from kivfm_core.teacher import load_teacher
from kivfm_yolov8.plugin import SIZES, spec

SIDE = 64


class Block(nn.Module):
    """Convolution without bias, batch norm, SiLU."""

    def __init__(self, i, o, kernel=1, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(o, eps=1e-3, momentum=None)
        nn.init.uniform_(self.bn.weight, 0.5, 1.5)
        nn.init.normal_(self.bn.bias, std=0.1)

    def forward(self, x):
        return F.silu(self.bn(self.conv(x)))


class Link(nn.Module):
    def __init__(self, c, add):
        super().__init__()
        self.cv1, self.cv2, self.add = Block(c, c, 3), Block(c, c, 3), add

    def forward(self, x):
        return self.cv2(self.cv1(x)) + (x if self.add else 0)


class Chain(nn.Module):
    def __init__(self, i, o, n, add):
        super().__init__()
        self.cv1, self.cv2 = Block(i, o), Block((2 + n) * o // 2, o)
        self.m = nn.ModuleList(Link(o // 2, add) for _ in range(n))

    def forward(self, x):
        maps = [*self.cv1(x).chunk(2, 1)]
        for link in self.m:
            maps.append(link(maps[-1]))
        return self.cv2(torch.cat(maps, 1))


class Pool(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.cv1, self.cv2 = Block(c, c // 2), Block(2 * c, c)

    def forward(self, x):
        x = self.cv1(x)
        return self.cv2(torch.cat([x, *(F.max_pool2d(x, k, 1, k // 2) for k in (5, 9, 13))], 1))


class Proto(nn.Module):
    def __init__(self, i, c):
        super().__init__()
        self.cv1, self.cv2, self.cv3 = Block(i, c, 3), Block(c, c, 3), Block(c, 32)
        self.upsample = nn.ConvTranspose2d(c, c, 2, 2)

    def forward(self, x):
        return self.cv3(self.cv2(self.upsample(self.cv1(x))))


class Head(nn.Module):
    """What the last module has: towers by number, the distances as a convolution."""

    def __init__(self, channels, hidden, masks):
        super().__init__()

        def towers(c, o):
            return nn.ModuleList(
                nn.Sequential(Block(i, c, 3), Block(c, c, 3), nn.Conv2d(c, o, 1)) for i in channels
            )

        self.cv2, self.cv3 = towers(max(64, channels[0] // 4), 64), towers(max(80, channels[0]), 80)
        self.dfl = nn.Module()
        self.dfl.conv = nn.Conv2d(16, 1, 1, bias=False)
        self.dfl.conv.weight.data = torch.arange(16.0).view(1, 16, 1, 1)
        if masks:
            self.proto, self.cv4 = Proto(channels[0], hidden), towers(max(32, channels[0] // 4), 32)


class Upstream(nn.Module):
    """Upstream's network: its keys, its order of work; batch norm calibrated on some canvases."""

    def __init__(self, size, masks=True):
        super().__init__()
        torch.manual_seed(0)
        self.teacher = spec(size, SIZES[size], masks)
        c1, c2, c3, c4, c5 = (int(width) for width in SIZES[size].widths)
        n = SIZES[size].depth
        self.model = nn.ModuleList(
            [
                Block(3, c1, 3, 2), Block(c1, c2, 3, 2), Chain(c2, c2, n, True),
                Block(c2, c3, 3, 2), Chain(c3, c3, 2 * n, True),
                Block(c3, c4, 3, 2), Chain(c4, c4, 2 * n, True),
                Block(c4, c5, 3, 2), Chain(c5, c5, n, True), Pool(c5),
                nn.Identity(), nn.Identity(), Chain(c5 + c4, c4, n, False),
                nn.Identity(), nn.Identity(), Chain(c4 + c3, c3, n, False),
                Block(c3, c3, 3, 2), nn.Identity(), Chain(c3 + c4, c4, n, False),
                Block(c4, c4, 3, 2), nn.Identity(), Chain(c4 + c5, c5, n, False),
                Head((c3, c4, c5), SIZES[size].hidden, masks),
            ]
        )  # fmt: skip
        with torch.no_grad():
            self(canvases(4))
        self.eval()

    def forward(self, x):
        """The three maps, then boxes, classes, weights of prototypes a level, and prototypes."""
        m, maps = self.model, []
        for layer in m[:10]:
            maps.append(x := layer(x))
        join = lambda a, b: torch.cat([a, b], 1)  # noqa: E731
        double = lambda a: F.interpolate(a, scale_factor=2)  # noqa: E731
        middle = m[12](join(double(x), maps[6]))
        p3 = m[15](join(double(middle), maps[4]))
        p4 = m[18](join(m[16](p3), middle))
        p5 = m[21](join(m[19](p4), x))
        towers = [m[22].cv2, m[22].cv3, *([m[22].cv4] if hasattr(m[22], "cv4") else [])]
        flat = [
            torch.cat([f(p).flatten(2) for f, p in zip(tower, (p3, p4, p5), strict=True)], 2).mT
            for tower in towers
        ]
        return (p3, p4, p5), flat, m[22].proto(p3) if len(towers) == 3 else None


def canvases(count):
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) ** 2


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("prefix", ["", "model."])
@pytest.mark.parametrize(("size", "masks"), [("n", True), ("n", False), ("m", True)])
def test_upstream_state_dictionary_equals_its_network(size, masks, prefix, tmp_path):
    upstream = Upstream(size, masks)
    file = tmp_path / "yolov8.pth"
    torch.save({prefix + key: value for key, value in upstream.state_dict().items()}, file)
    teacher = load_teacher(upstream.teacher, file)
    x, frame = canvases(2), plan_frame((SIDE, SIDE), upstream.teacher.input)
    head = teacher.decoders.part("detection")
    with torch.no_grad():
        maps, flat, prototypes = upstream(x)
        levels = teacher.encode(x, [frame] * 2)
        distances, classes = head.logits(levels)
        for name, wanted in zip(("p3", "p4", "p5"), maps, strict=True):
            close(levels[name], wanted)
        close(distances.flatten(2), flat[0])
        close(classes, flat[1])
        if masks:
            close(head._flat(head.mask, levels), flat[2])
            close(head._prototypes(levels), prototypes)


def test_a_nano_detector_has_as_many_tensors_as_upstream_reports():
    assert len(Upstream("n", masks=False).state_dict()) == 355


def refused(name, masks, state, path):
    torch.save(state, path)
    with pytest.raises(WeightsError) as caught:
        load_teacher(spec(name, SIZES[name], masks), path)
    return f"{caught.value}", caught.value.hint


def test_other_weights_are_refused_with_what_to_do(tmp_path):
    file = tmp_path / "file.pth"
    whole = Upstream("n").state_dict()
    message, hint = refused("s", False, whole, file)
    assert "are the weights of yolov8/n-seg, not of yolov8/s" in message
    assert "--weights yolov8/n-seg=FILE" in hint
    assert "detects, too" in refused("n", False, whole, file)[1]
    boxes = {k: v for k, v in whole.items() if ".cv4." not in k and ".proto." not in k}
    assert "--weights yolov8/n=FILE" in refused("n", True, boxes, file)[1]
    assert "neither upstream's keys" in refused("n", True, {"fc.weight": torch.ones(2)}, file)[0]

    three = {k: v[:3] if ".cv3.0.2." in k else v for k, v in whole.items()}
    assert "have 3 classes, not COCO's 80" in refused("n", True, three, file)[0]

    wide = {**whole, "model.0.bn.bias": torch.ones(17)}
    assert "is not a weights file of yolov8/n-seg" in refused("n", True, wide, file)[0]
    folded = {"stem.conv.bias": torch.ones(17)}
    assert "has 17 channels, as no YOLOv8 has" in refused("n", True, folded, file)[0]
    none = {k: torch.tensor(1.0) if k == "model.22.cv3.0.2.bias" else v for k, v in whole.items()}
    assert "have 1 classes" in refused("n", True, none, file)[0]
    shifted = {**whole, "model.22.dfl.conv.weight": torch.ones(1, 16, 1, 1)}
    assert "22.dfl.conv.weight is not 0 to 15" in refused("n", True, shifted, file)[0]
    for key, told in (("9.cv2.bn.running_var", "9.cv2.bn.running_var"),
                      ("22.cv4.1.1.conv.weight", "22.cv4.1.1.conv.weight"),
                      ("22.cv4.1.2.weight", "mask.1.2.weight")):  # fmt: skip
        less = {k: v for k, v in whole.items() if k != f"model.{key}"}
        assert told in refused("n", True, less, file)[0]
    more = {**whole, "model.23.conv.weight": torch.ones(1)}
    assert "left over (23.conv.weight)" in refused("n", True, more, file)[0]


def test_a_pickle_of_modules_is_refused_unopened(tmp_path):
    file = tmp_path / "yolov8n-seg.pt"
    message, hint = refused("n", True, {"model": nn.Conv2d(3, 16, 3)}, file)
    assert "nothing of it was executed" in message and "state_dict" in hint
