"""open_clip's towers apart give what open_clip's models give."""

import json

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from kivfm_core.data.canvas import normalize
from kivfm_core.errors import WeightsError
from kivfm_core.evaluation.evaluate import evaluate_teacher
from kivfm_core.teacher import Decoders, load_teacher
from kivfm_teachers.clip.plugin import kivfm_register_teachers
from kivfm_teachers.open_clip.model import TextTower, VisualTower
from kivfm_teachers.open_clip.resolve import resolve
from kivfm_teachers.siglip.plugin import kivfm_register_teachers as siglip_teachers

LABELS = ["cat", "red bicycle"]


def shrunk(spec):
    """The same spec with towers of two blocks."""
    config = open_clip.get_model_config(spec.config["model"])
    override = {
        "vision_cfg": {**config["vision_cfg"], "layers": 2},
        "text_cfg": {**config["text_cfg"], "layers": 2},
    }
    return spec.model_copy(update={"config": {**spec.config, "override": override}})


def siglip():
    """SigLIP 2 with tiny towers and a short vocabulary."""
    spec = siglip_teachers()[0]
    config = open_clip.get_model_config(spec.config["model"])
    small = {"width": 192, "heads": 3, "layers": 2, "vocab_size": 100}
    override = {
        "embed_dim": 192,
        "vision_cfg": {**config["vision_cfg"], "timm_model_name": "vit_tiny_patch16_224"},
        "text_cfg": {**config["text_cfg"], **small},
    }
    return spec.model_copy(update={"config": {**spec.config, "override": override}})


def upstream(spec):
    """open_clip's own model of a spec."""
    return open_clip.create_model(
        spec.config["model"],
        force_quick_gelu=spec.config["quick_gelu"],
        **spec.config["override"],
    ).eval()


@pytest.mark.parametrize(
    "spec",
    [kivfm_register_teachers()[0], resolve("open_clip/ViT-B-32/laion2b_s34b_b79k")],
    ids=lambda s: s.name,
)
def test_zero_shot_as_the_original(spec, save, scramble, canvases):
    spec = shrunk(spec)
    original = scramble(upstream(spec))
    teacher = load_teacher(spec, weights=save(original))
    x, frames = canvases(spec, 224)
    levels = teacher.encode(x, frames)
    prompt = teacher.prompt("zero-shot", labels=LABELS)
    with torch.no_grad():
        tokenizer = open_clip.get_tokenizer(spec.config["model"])
        expected_prompt = open_clip.build_zero_shot_classifier(
            original, tokenizer, LABELS, open_clip.SIMPLE_IMAGENET_TEMPLATES
        )
        features = original.encode_image(normalize(x, spec.input), normalize=True)
        expected = original.logit_scale.exp() * features @ expected_prompt
    assert torch.equal(prompt, expected_prompt)
    assert torch.equal(teacher.decode("zero-shot", levels, prompt).logits, expected)
    dense = spec.level("dense")
    assert levels["dense"].shape[1:] == (dense.channels, *dense.grid((224, 224)))
    assert levels["global"].shape[1:] == (spec.level("global").channels,)


@pytest.fixture
def words(tmp_path, monkeypatch):
    """A tiny tokenizer in the hub's cache, where SigLIP's own would lie."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--timm--ViT-B-16-SigLIP2-256/snapshots/main"
    core = Tokenizer(models.WordLevel({"<pad>": 0, "<unk>": 1, "cat": 2}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>").save_pretrained(folder)
    config = {"model_cfg": open_clip.get_model_config("ViT-B-16-SigLIP2-256")}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return open_clip.get_tokenizer(f"local-dir:{folder}")


def test_siglip_asks_for_a_tokenizer_that_is_not_here(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("KIVFM_OFFLINE", "1")
    spec = siglip()
    with pytest.raises(WeightsError, match=r"SigLIP2-256.* is not here") as caught:
        Decoders(spec).prompt("zero-shot", labels=LABELS)
    assert caught.value.hint.startswith("kivfm teachers fetch siglip/vit-b-16")


def test_siglip_adds_its_bias(save, scramble, canvases, words):
    spec = siglip()
    original = scramble(upstream(spec))
    teacher = load_teacher(spec, weights=save(original))
    x, frames = canvases(spec, 224)
    prompt = teacher.prompt("zero-shot", labels=LABELS)
    found = teacher.decode("zero-shot", teacher.encode(x, frames), prompt).logits
    with torch.no_grad():
        expected_prompt = open_clip.build_zero_shot_classifier(
            original, words, LABELS, open_clip.SIMPLE_IMAGENET_TEMPLATES
        )
        features = original.encode_image(normalize(x, spec.input), normalize=True)
        expected = original.logit_scale.exp() * features @ prompt + original.logit_bias
    assert torch.equal(prompt, expected_prompt)
    assert original.logit_bias < -5
    assert torch.equal(found, expected)


def test_the_dense_level_is_the_tokens_without_the_class_token(canvases):
    spec = shrunk(kivfm_register_teachers()[1])
    tower = VisualTower(spec).eval()
    x, _ = canvases(spec, 224, batch=1)
    with torch.no_grad():
        dense = tower(x)["dense"]
        tower.visual.output_tokens = True
        tokens = tower.visual(x)[1]
    assert torch.equal(dense.flatten(2).transpose(1, 2), tokens)


def test_towers_stand_apart():
    spec = shrunk(kivfm_register_teachers()[1])
    assert all(name.startswith("visual.") for name, _ in VisualTower(spec).named_parameters())
    text = Decoders(spec).parts["text"]
    assert isinstance(text, TextTower)
    assert not any("visual" in name for name, _ in text.named_parameters())


@pytest.mark.parametrize("name", ["ViT-B-32", "ViT-B-32/nobody"])
def test_unknown_names_are_answered_with_near_ones(name):
    with pytest.raises(LookupError, match="ViT-B-32/openai"):
        resolve(f"open_clip/{name}")


def test_a_tower_that_cannot_stand_apart_is_refused():
    with pytest.raises(LookupError, match="cannot stand apart"):
        resolve("open_clip/coca_ViT-B-32/laion2b_s13b_b90k")


def pictures(count: int) -> list[Image.Image]:
    """Blurred colors, wide and high."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(20, 300, (count, 2)).tolist()
    return [
        Image.fromarray(rng.integers(0, 256, (3, 3, 3)).astype(np.uint8)).resize((width, height))
        for width, height in sizes
    ]


def test_zero_shot_accuracy_as_open_clips_from_image_files(save, scramble, tmp_path):
    spec = shrunk(resolve("open_clip/ViT-B-32/laion2b_s34b_b79k"))
    torch.manual_seed(1)  # of random networks, one that does not see the same in all images
    model = scramble(upstream(spec))
    names = sorted(["red_star", "old bicycle", "ring", "tench", "cat", "green sofa"])
    images = pictures(16)
    preprocess = open_clip.image_transform(
        spec.input.size, is_train=False, mean=spec.input.mean, std=spec.input.std
    )
    with torch.no_grad():
        classifier = open_clip.build_zero_shot_classifier(
            model,
            open_clip.get_tokenizer(spec.config["model"]),
            [name.replace("_", " ") for name in names],
            open_clip.SIMPLE_IMAGENET_TEMPLATES,
        )
        batch = torch.stack([preprocess(image) for image in images])
        logits = model.logit_scale.exp() * model.encode_image(batch, normalize=True) @ classifier
    first, second = logits.topk(2).values.unbind(1)
    clear = (first - second > 0.01).nonzero().flatten().tolist()
    answers = logits.argmax(1).tolist()
    assert len(clear) > 8 and len({answers[i] for i in clear}) > 2
    # Every third image lies in another class than the one that open_clip sees in it.
    for name in names:
        (tmp_path / "classes" / name).mkdir(parents=True)
    for i in clear:
        name = names[(answers[i] + (i % 3 == 0)) % len(names)]
        images[i].save(tmp_path / "classes" / name / f"{i}.png")
    score = evaluate_teacher(load_teacher(spec, weights=save(model)), "zero-shot", str(tmp_path))
    assert score == pytest.approx(sum(i % 3 > 0 for i in clear) / len(clear), abs=1e-6)
