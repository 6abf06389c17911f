"""Tiny models of the real classes, with random weights, in folders of the hub's own format."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from kivfm_core.data.canvas import make_canvases, normalize
from kivfm_core.teacher import load_teacher
from kivfm_core.testing.checks import run_checks
from kivfm_core.testing.subject import Subject


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    """The same numbers every time, and a cache of one's own."""
    torch.manual_seed(0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Saves a model with all that belongs to it, and loads it by name as a teacher."""

    def publish(model, processor, tokenizer=None):
        scramble(model)
        for part in (model, processor, tokenizer):
            if part is not None:
                part.save_pretrained(tmp_path / "org" / "tiny")
        monkeypatch.chdir(tmp_path)
        return load_teacher("transformers/org/tiny")

    return publish


def scramble(model):
    """Moves every value off its initial one: zeros and ones would hide what is not connected."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            noise = 0.05 * torch.randn(tensor.shape)
            tensor.add_(noise.abs() if name.endswith("running_var") else noise)
    model.eval()


@pytest.fixture
def tokenizer():
    """Words as tokens, and an end of text."""
    words = ["<pad>", "<unk>", "</s>", "This", "is", "a", "photo", "of", ".", "cat", "bicycle"]
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", unk_token="<unk>", eos_token="</s>"
    )


@pytest.fixture
def folder(tmp_path) -> Path:
    """Where `publish` writes."""
    return tmp_path / "org" / "tiny"


@pytest.fixture
def encoded():
    """A normalized canvas, its frame, and levels that are as declared."""

    def encoded(teacher):
        image = torch.randint(0, 256, (3, 90, 120), dtype=torch.uint8)
        x, frames = make_canvases([image], teacher.spec.input)
        levels = teacher.encode(x, frames)
        for level in teacher.spec.levels:
            grid = level.grid(frames[0].canvas)
            assert levels[level.name].shape[1:] == (level.channels, *grid)
        return normalize(x, teacher.spec.input), frames[0], levels

    return encoded


@pytest.fixture
def same_canvas():
    """Whether a teacher's canvas is what its image processor makes of a smooth image."""

    def same_canvas(teacher, processor, size=(90, 120)):
        smooth = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 8), size, mode="bicubic")
        image = (255 * smooth[0]).clamp(0, 255).byte()
        x, _ = make_canvases([image], teacher.spec.input)
        expected = processor(images=image, return_tensors="pt")["pixel_values"]
        # The original resizes in 8 bits, which rounds; 1/255 is below 0.02 after normalization.
        mine = normalize(x, teacher.spec.input)
        return mine.shape == expected.shape and (mine - expected).abs().max() < 0.02

    return same_canvas


@pytest.fixture
def read_out():
    """The readouts of a teacher's decoders; every level has a part in them."""

    def read_out(teacher, levels):
        own = {name: level.clone().requires_grad_() for name, level in levels.items()}
        readouts = teacher.decoders.readout(own)
        torch.stack([readout.values.sum() for readout in readouts]).sum().backward()
        assert all(level.grad.any() for level in own.values())
        return readouts

    return read_out


@pytest.fixture
def findings():
    """What the conformance kit finds wrong with a teacher."""

    def findings(teacher):
        results = run_checks(Subject(teacher.spec))
        return {r.name: r.message for r in results if r.status == "finding"}

    return findings
