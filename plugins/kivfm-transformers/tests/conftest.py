"""Tiny models of the real classes, with random weights, in folders of the hub's own format."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from kivfm_core.teacher import load_teacher


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Saves a model with all that belongs to it, and opens it by name as a teacher."""

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
