"""SAM as a teacher gives what the authors' package gives, from the authors' file."""

import importlib.util

import pytest
import torch

from kivfm_core.data.canvas import make_canvases
from kivfm_core.errors import PluginError
from kivfm_core.geometry import Click, Frame, MaskPrompt
from kivfm_core.teacher import Levels, load_teacher
from kivfm_teachers.sam import model as sam_model
from kivfm_teachers.sam.plugin import kivfm_register_teachers

SIDE, WIDTH, DEPTH = 256, 64, 2
needs_package = pytest.mark.skipif(
    importlib.util.find_spec("segment_anything") is None, reason="needs the extra kivfm[sam]"
)


@pytest.fixture
def spec():
    """The SAM teacher with a small encoder and canvas."""
    (spec,) = kivfm_register_teachers()
    kwargs = {
        "img_size": SIDE,
        "embed_dim": WIDTH,
        "depth": DEPTH,
        "num_heads": 4,
        "global_attn_indexes": (1,),
    }
    return spec.model_copy(
        update={
            "config": {**spec.config, "kwargs": kwargs},
            "input": spec.input.model_copy(update={"size": SIDE}),
        }
    )


@pytest.fixture
def original(scramble):
    """The authors' model of the same size."""
    from segment_anything import modeling

    encoder = modeling.ImageEncoderViT(
        img_size=SIDE,
        embed_dim=WIDTH,
        depth=DEPTH,
        num_heads=4,
        global_attn_indexes=(1,),
        window_size=14,
        use_rel_pos=True,
        norm_layer=lambda width: torch.nn.LayerNorm(width, eps=1e-6),
    )
    sam = modeling.Sam(
        encoder,
        modeling.PromptEncoder(256, (SIDE // 16,) * 2, (SIDE,) * 2, 16),
        modeling.MaskDecoder(
            transformer_dim=256,
            transformer=modeling.TwoWayTransformer(
                depth=2, embedding_dim=256, num_heads=8, mlp_dim=2048
            ),
        ),
    )
    return scramble(sam)


@needs_package
def test_answers_clicks_as_the_original(spec, original, save):
    from segment_anything import SamPredictor

    teacher = load_teacher(spec, weights=save(original))
    image = torch.randint(0, 256, (3, 96, 128), dtype=torch.uint8)
    x, frames = make_canvases([image], spec.input)
    clicks = torch.tensor([[30.0, 40.0], [100.0, 70.0]])  # in original pixels
    on_canvas = torch.tensor([frames[0].to_canvas(*point) for point in clicks.tolist()])

    levels = teacher.encode(x, frames)
    prompt = teacher.prompt("promptable-segmentation", points=[on_canvas])
    found = teacher.decode("promptable-segmentation", levels, prompt)

    # The authors resize with Pillow, in 8 bits; from the same canvas on, all is theirs.
    predictor = SamPredictor(original)
    h, w = frames[0].resized
    predictor.set_torch_image(x[:, :, :h, :w] * 255, frames[0].original)
    with torch.no_grad():
        masks, scores, low = predictor.predict_torch(
            on_canvas[:, None], torch.ones(2, 1), return_logits=True
        )
    torch.testing.assert_close(levels["dense"], predictor.features, atol=1e-4, rtol=1e-4)
    best = torch.arange(2), scores.argmax(1)
    expected = torch.nn.functional.interpolate(low, (SIDE, SIDE), mode="bilinear")[best]
    torch.testing.assert_close(found.logits[0], expected, atol=1e-3, rtol=1e-3)
    mine = found.to_original(frames)[0]
    assert (mine == (masks[best] > 0)).float().mean() > 0.995
    assert mine.shape == (2, 96, 128)


CLICKS = (Click(30, 40), Click(100, 70, positive=False), Click(60, 50))
BOX = (20.0, 30.0, 120.0, 90.0)


@needs_package
@pytest.mark.parametrize(
    "prompts",
    [
        [MaskPrompt(CLICKS[:2]), MaskPrompt((CLICKS[2], CLICKS[1]))],
        [MaskPrompt(CLICKS)],
        [MaskPrompt(box=BOX), MaskPrompt(box=(5.0, 5.0, 60.0, 95.0))],
        [MaskPrompt(CLICKS[:2], BOX)],
    ],
    ids=["signs", "three clicks", "boxes", "clicks and a box"],
)
def test_clicks_with_signs_and_boxes_are_bit_equal_to_the_original(spec, original, save, prompts):
    from segment_anything import SamPredictor

    teacher = load_teacher(spec, weights=save(original))
    x, frames = make_canvases([torch.randint(0, 256, (3, 96, 128), dtype=torch.uint8)], spec.input)
    levels = teacher.encode(x, frames)
    prompt = teacher.prompt("promptable-segmentation", prompts=[prompts])
    found = teacher.decode("promptable-segmentation", levels, prompt)

    predictor = SamPredictor(original)
    predictor.set_torch_image(x[:, :, : frames[0].resized[0]] * 255, frames[0].original)
    predictor.features = levels["dense"]
    clicks = torch.tensor([[(c.x, c.y) for c in p.clicks] for p in prompts])
    labels = torch.tensor([[float(c.positive) for c in p.clicks] for p in prompts])
    boxes = torch.tensor([p.box for p in prompts]) if prompts[0].box else None
    with torch.no_grad():
        _, scores, low = predictor.predict_torch(
            clicks if clicks.numel() else None, labels if clicks.numel() else None, boxes
        )
    best = torch.arange(len(prompts)), scores.argmax(1)
    expected = torch.nn.functional.interpolate(low[best][:, None], (SIDE, SIDE), mode="bilinear")
    assert torch.equal(found.logits[0], expected[:, 0])
    assert torch.equal(found.scores[0], scores[best].clamp(0, 1))


@needs_package
def test_prompts_of_several_forms_keep_their_order(spec, original, save):
    teacher = load_teacher(spec, weights=save(original))
    x, frames = make_canvases([torch.randint(0, 256, (3, 96, 128), dtype=torch.uint8)], spec.input)
    levels = teacher.encode(x, frames)
    prompts = [
        MaskPrompt(CLICKS[:1]),
        MaskPrompt(box=BOX),
        MaskPrompt(CLICKS),
        MaskPrompt(CLICKS[2:]),
    ]

    def masks(*prompts):
        prompt = teacher.prompt("promptable-segmentation", prompts=[prompts])
        return teacher.decode("promptable-segmentation", levels, prompt).logits[0]

    together = masks(*prompts)
    for index, one in enumerate(prompts):
        torch.testing.assert_close(together[index], masks(one)[0])


@needs_package
@pytest.mark.parametrize("canvas", [(192, 256), (384, 512), (256, 128)])
def test_levels_of_another_canvas_are_put_onto_its_own(spec, original, save, canvas):
    """As a student that teaches gives them: half of the detail, or the double, and no square."""
    teacher = load_teacher(spec, weights=save(original))
    part = teacher.decoders.part("promptable-segmentation")
    h, w = canvas
    grid = tuple(SIDE // 16 * side // max(canvas) for side in canvas)
    cells = torch.randn(1, 256, *grid)
    padded = torch.nn.functional.pad(cells, (0, 16 - grid[1], 0, 16 - grid[0]))
    fine = torch.nn.functional.interpolate(cells, (h // 16, w // 16), mode="nearest")
    own, other = (Frame((96, 128), (0, 0, 128, 96), size, (0, 0), size) for size in (
        (SIDE, SIDE), canvas
    ))  # fmt: skip
    scale = max(canvas) / SIDE
    prompts = [MaskPrompt((Click(30, 40), Click(60, 50, False))), MaskPrompt(box=(9, 9, 60, 90))]
    scaled = [
        MaskPrompt(
            tuple(Click(scale * c.x, scale * c.y, c.positive) for c in p.clicks),
            p.box and tuple(scale * side for side in p.box),
        )
        for p in prompts
    ]
    right = part(Levels({"dense": padded}, [own]), [prompts])
    found = part(Levels({"dense": fine}, [other]), [scaled])
    assert found.logits[0].shape == (2, *canvas)
    torch.testing.assert_close(found.scores[0], right.scores[0], atol=1e-4, rtol=1e-4)
    shown = right.logits[0][:, : SIDE * h // max(canvas), : SIDE * w // max(canvas)]
    near = torch.nn.functional.interpolate(shown[None], canvas, mode="bilinear")[0]
    assert ((found.logits[0] > 0) == (near > 0)).float().mean() > 0.97
    points = torch.tensor([[[*((c.x, c.y) for c in scaled[0].clicks), (0.0, 0.0)]]])
    with torch.no_grad():
        as_graph, _ = part.masks_at(
            Levels({"dense": fine}, [other]), points, torch.tensor([[[1.0, 0.0, -1.0]]])
        )
    torch.testing.assert_close(as_graph[0, 0], found.logits[0][0], atol=1e-4, rtol=1e-4)


@needs_package
def test_no_clicks_give_no_masks(spec, original, save):
    teacher = load_teacher(spec, weights=save(original))
    x, frames = make_canvases([torch.zeros(3, 64, 64, dtype=torch.uint8)], spec.input)
    prompt = teacher.prompt("promptable-segmentation", points=[torch.zeros(0, 2)])
    found = teacher.decode("promptable-segmentation", teacher.encode(x, frames), prompt)
    assert found.logits[0].shape == (0, SIDE, SIDE)


@needs_package
def test_without_its_package_it_still_encodes(spec, original, save, monkeypatch):
    monkeypatch.setattr(sam_model, "_installed", lambda: False)
    teacher = load_teacher(spec, weights=save(original))
    x, frames = make_canvases([torch.zeros(3, 64, 64, dtype=torch.uint8)], spec.input)
    assert teacher.encode(x, frames)["dense"].shape == (1, 256, SIDE // 16, SIDE // 16)
    with pytest.raises(PluginError) as caught:
        teacher.prompt("promptable-segmentation", points=[])
    assert "pip install" in caught.value.hint


@needs_package
def test_as_one_graph_it_gives_the_same(spec, original, save):
    """Two images, three prompts, a place that means nothing where there is no box: as upstream."""
    teacher = load_teacher(spec, weights=save(original))
    images = [torch.randint(0, 256, (3, 96, 128), dtype=torch.uint8) for _ in range(2)]
    levels = teacher.encode(*make_canvases(images, spec.input))
    two = [MaskPrompt(CLICKS[:2]), MaskPrompt((CLICKS[2], CLICKS[1]))]
    prompts = [*two, MaskPrompt(CLICKS[:1], BOX)]
    right = teacher.decode("promptable-segmentation", levels, [prompts, prompts])
    given = [
        [*((c.x, c.y, float(c.positive)) for c in p.clicks)]
        + ([(*p.box[:2], 2.0), (*p.box[2:], 3.0)] if p.box else [(0.0, 0.0, -1.0)])
        for p in prompts
    ]
    asked = torch.tensor(given).expand(2, -1, -1, -1)
    with torch.no_grad():
        part = teacher.decoders.part("promptable-segmentation")
        logits, scores = part.masks_at(levels, asked[..., :2], asked[..., 2])
    torch.testing.assert_close(logits, torch.stack(right.logits), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(scores, torch.stack(right.scores), atol=1e-4, rtol=1e-4)
