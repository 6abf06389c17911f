"""Teachers of known architectures with random weights, at canvases that a small machine bears.

What is timed does not depend on what the weights say, so nothing is fetched.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

from benchmarks.common import KEEP_FREED
from benchmarks.plugin import write_plugin
from kivfm_core.registry.registry import get_registry
from kivfm_core.spec import TeacherSpec

NAME = "benchmark_teachers"
# The three that benchmarks share.
MODELS = {
    "random/dinov2-b": "vit_base_patch14_reg4_dinov2.lvd142m",
    "random/clip-b-16": "vit_base_patch16_clip_224.openai",
    "random/sam-b": "samvit_base_patch16.sa1b",
}


def write_teachers(root: Path, models: Mapping[str, str], side: int) -> dict[str, str]:
    """Writes a plugin with these teachers to `root/plugin`, and their weights.

    Args:
        root: A new folder.
        models: timm's models by the teachers' names.
        side: Of their canvases, or the next multiple that they take.

    Returns:
        The weights files by name.
    """
    weights = root / "weights"
    weights.mkdir()
    specs, files = list[TeacherSpec](), dict[str, str]()
    for number, (name, model) in enumerate(models.items()):
        spec = get_registry().resolve(f"timm/{model}")
        size = -(-side // spec.input.multiple) * spec.input.multiple
        contract = spec.input.model_copy(update={"train_sizes": (size,)})
        update = {"name": name, "aliases": (), "tasks": (), "attachments": (), "input": contract}
        specs.append(spec.model_copy(update=update))
        torch.manual_seed(number)
        file = weights / f"{number}.safetensors"
        save_file(timm.create_model(model).state_dict(), file)
        files[name] = str(file)
    write_plugin(root / "plugin", NAME, specs)
    return files


def environment(root: Path) -> dict[str, str]:
    """The environment in which the plugin is found; measured rates and the like stay in `root`."""
    paths = [str(root / "plugin"), os.environ.get("PYTHONPATH", "")]
    own = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "XDG_CACHE_HOME": str(root / "user")}
    return {**KEEP_FREED, **os.environ, **own}
