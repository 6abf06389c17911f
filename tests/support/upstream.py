"""Random weights of a teacher's real architecture, in a file as upstream has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from kivfm_core.spec import TeacherSpec


def write(spec: TeacherSpec, folder: Path) -> Path:
    """Writes the file of a teacher, of the kind that its source has; gives its path."""
    torch.manual_seed(0)
    state = {key: value.clone() for key, value in _model(spec).state_dict().items()}
    file = folder / (spec.name.replace("/", "-") + Path(spec.weights.source).suffix)
    if file.suffix == ".safetensors":
        save_file(state, file)
    else:
        torch.save(state, file)
    return file


def publish_depth(cache: Path) -> None:
    """Puts a Depth Anything, small and random, into a hub's cache, where `depth` is looked for."""
    import transformers as hf

    home = cache / "models--depth-anything--Depth-Anything-V2-Small-hf/snapshots/main"
    hf.DepthAnythingForDepthEstimation(hf.DepthAnythingConfig()).save_pretrained(home)
    settings = {"size": {"height": 518, "width": 518}, "ensure_multiple_of": 14}
    hf.DPTImageProcessor(**settings, keep_aspect_ratio=True).save_pretrained(home)
    (home / "README.md").write_text("---\nlicense: apache-2.0\n---\n")


def _model(spec: TeacherSpec) -> Any:
    """The whole model by the library that publishes its weights."""
    name = spec.config["model"]
    if spec.family == "sam":
        from segment_anything import sam_model_registry

        return sam_model_registry["vit_b"]()
    library = spec.encoder.split(".")[1]
    if library == "open_clip":
        import open_clip

        return open_clip.create_model(name)
    if library == "torchvision":
        from torchvision.models import get_model

        return get_model(name, weights=None, weights_backbone=None)
    assert library == "timm", spec.encoder
    import timm

    return timm.create_model(name, pretrained=False)
