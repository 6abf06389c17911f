"""Image-text pairs and self-supervised models."""

import pytest
import torch
import transformers as hf

from kivfm_core.data.canvas import make_canvases, normalize
from kivfm_core.errors import WeightsError

VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 64,
    "patch_size": 16,
}
TEXT = {
    "vocab_size": 11,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "eos_token_id": 2,
    "bos_token_id": 1,
    "pad_token_id": 0,
}


def images(count=2):
    return list(torch.randint(0, 256, (count, 3, 90, 120), dtype=torch.uint8))


def clip():
    config = hf.CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=24)
    size = {"size": {"shortest_edge": 64}, "crop_size": {"height": 64, "width": 64}}
    return hf.CLIPModel(config), hf.CLIPImageProcessor(**size)


def siglip():
    config = hf.SiglipConfig(text_config=TEXT, vision_config=VISION)
    return hf.SiglipModel(config), hf.SiglipImageProcessor(size={"height": 64, "width": 64})


@pytest.mark.parametrize("make", [clip, siglip])
def test_zero_shot_as_the_original(make, publish, tokenizer):
    original, processor = make()
    teacher = publish(original, processor, tokenizer)
    labels = ["cat", "bicycle"]
    x, frames = make_canvases(images(), teacher.spec.input)
    levels = teacher.encode(x, frames)
    prompt = teacher.prompt("zero-shot", labels=labels)
    found = teacher.decode("zero-shot", levels, prompt).logits

    length = {"padding": "max_length", "max_length": 64} if make is siglip else {"padding": True}
    texts = [f"This is a photo of {label}." for label in labels]
    tokens = tokenizer(texts, return_tensors="pt", **length)
    tokens = {key: tokens[key] for key in ("input_ids", "attention_mask")}
    with torch.no_grad():
        out = original(**tokens, pixel_values=normalize(x, teacher.spec.input))
    torch.testing.assert_close(found, out.logits_per_image)
    tokens = out.vision_model_output.last_hidden_state[:, -16:]
    assert torch.equal(levels["dense"].flatten(2).transpose(1, 2), tokens)
    assert found.std() > 0


def test_without_its_tokenizer_a_model_is_not_asked_for_words(publish, folder):
    # transformers would silently make a tokenizer of two words.
    original, processor = clip()
    teacher = publish(original, processor)
    with pytest.raises(WeightsError, match=f"run:{folder}"):
        teacher.prompt("zero-shot", labels=["cat"])


def dinov2():
    model = hf.Dinov2Model(hf.Dinov2Config(**VISION))
    size = {"size": {"shortest_edge": 80}, "crop_size": {"height": 64, "width": 64}}
    return model, hf.BitImageProcessor(**size), 1


def registers():
    config = hf.Dinov2WithRegistersConfig(**VISION, num_register_tokens=4)
    _, processor, _ = dinov2()
    return hf.Dinov2WithRegistersModel(config), processor, 5


def dinov3():
    model = hf.DINOv3ViTModel(hf.DINOv3ViTConfig(**VISION, num_register_tokens=4))
    return model, hf.DINOv3ViTImageProcessor(size={"height": 64, "width": 64}), 5


@pytest.mark.parametrize("make", [dinov2, registers, dinov3])
def test_levels_are_the_originals(make, publish):
    original, processor, prefix = make()
    teacher = publish(original, processor)
    spec = teacher.spec
    assert spec.role == "general"
    assert spec.parameters == sum(p.numel() for p in original.parameters())
    seen = {}
    for place in spec.attachments:
        assert (place.layout, place.prefix_tokens) == ("NLC", prefix)
        teacher.encoder.get_submodule(place.module).register_forward_hook(
            lambda _m, _x, y, key=place.module: seen.__setitem__(key, y.shape)
        )
    assert len(spec.attachments) == 2
    for canvas in ((64, 64), (96, 128)):
        x = torch.rand(2, 3, *canvas)
        levels = teacher.encode(x, [])
        with torch.no_grad():
            out = original(normalize(x, spec.input))
        dense = spec.level("dense")
        grid = dense.grid(canvas)
        assert levels["dense"].shape == (2, dense.channels, *grid)
        assert torch.equal(levels["global"], out.pooler_output)
        assert torch.equal(
            levels["dense"].flatten(2).transpose(1, 2), out.last_hidden_state[:, prefix:]
        )
        assert set(seen.values()) == {(2, prefix + grid[0] * grid[1], 32)}


@pytest.mark.parametrize("make", [clip, siglip, dinov2, dinov3])
def test_canvases_are_the_image_processors(make, publish, tokenizer, same_canvas):
    original, processor, *_ = make()
    teacher = publish(original, processor, tokenizer)
    for size in ((90, 120), (91, 127), (127, 91)):
        assert same_canvas(teacher, processor, size), size


@pytest.mark.parametrize("make", [clip, siglip, dinov2, registers, dinov3])
def test_the_kit_finds_nothing(make, publish, tokenizer, findings):
    original, processor, *_ = make()
    assert findings(publish(original, processor, tokenizer)) == {}
