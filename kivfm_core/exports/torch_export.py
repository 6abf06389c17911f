"""torch.export's own file, which a process with torch alone can run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from kivfm_core.errors import KivfmError
from kivfm_core.exports.card import KEY
from kivfm_core.exports.program import Program

# What a user of the file runs, in a process of its own: nothing of kivfm is imported.
SCRIPT = """
import sys
import torch
from safetensors.torch import load_file, save_file
file, given, out = sys.argv[1:]
module = torch.export.load(file).module()
inputs = load_file(given)
for key in sorted({name.split(".")[0] for name in inputs}):
    own = [inputs[name] for name in sorted(inputs) if name.split(".")[0] == key]
    with torch.no_grad():
        found = module(*own)
    save_file({str(i): x.contiguous() for i, x in enumerate(found)}, f"{out}/{key}.safetensors")
assert not any(name.startswith("kivfm") for name in sys.modules)
"""


def write(program: Program, card: Mapping[str, Any], file: Path) -> None:
    """Writes a program with a batch of any size; its card is an extra file of the archive."""
    # Switches of gradients inside the model would be part of the graph otherwise.
    with torch.no_grad():
        made = torch.export.export(
            program.module, program.traced(), dynamic_shapes=program.dims(), strict=False
        )
    said = {**card, "outputs": list(program.outputs)}
    torch.export.save(made, file, extra_files={f"{KEY}.json": json.dumps(said)})


def run(
    file: Path, batches: Sequence[np.ndarray[Any, Any]], prompts: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """The outputs of canvases, in a process that imports torch alone.

    Raises:
        KivfmError: If that process fails.
    """
    names = _load(file)[1]
    with TemporaryDirectory() as folder:
        given = Path(folder) / "given.safetensors"
        pairs = zip(batches, prompts or [{}] * len(batches), strict=True)
        inputs = [(batch, *prompt.values()) for batch, prompt in pairs]
        save_file({f"{i}.{j}": x for i, own in enumerate(inputs) for j, x in enumerate(own)}, given)
        words = [sys.executable, "-c", SCRIPT, str(file), str(given), folder]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            raise KivfmError(f"the export does not run: {done.stderr.strip()[-300:]}")
        found = [load_file(f"{folder}/{i}.safetensors") for i in range(len(batches))]
    return [{name: out[str(i)] for i, name in enumerate(names)} for out in found]


def start(file: Path) -> Callable[..., dict[str, Any]]:
    """What gives the outputs of canvases, batch by batch, in this process.

    It takes a batch `[B, 3, H, W]`, and a prompt's arrays by name if the file asks for one.
    """
    program, names = _load(file)
    module = program.module()

    def run(
        canvases: np.ndarray[Any, Any], prompt: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        given = [torch.from_numpy(value) for value in (canvases, *(prompt or {}).values())]
        with torch.no_grad():
            found = module(*given)
        return {name: value.numpy() for name, value in zip(names, found, strict=True)}

    return run


def _load(file: Path) -> tuple[Any, list[str]]:
    """The program, and the names of its outputs."""
    extra = {f"{KEY}.json": ""}
    program = torch.export.load(file, extra_files=extra)
    return program, json.loads(extra[f"{KEY}.json"])["outputs"]
