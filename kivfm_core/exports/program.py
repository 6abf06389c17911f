"""What is exported: a module from canvases to named tensors, and the contract for its input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from kivfm_core.data.canvas import make_canvases, rescale
from kivfm_core.errors import UsageError
from kivfm_core.exports.outputs import Outputs
from kivfm_core.geometry import Frame, Size
from kivfm_core.models.model import Model
from kivfm_core.reference import resolve_reference
from kivfm_core.spec import InputContract, TeacherSpec
from kivfm_core.task import TaskRecord
from kivfm_core.teacher import Encoder, Levels, Teacher

# Batches of an export have 1 to this many canvases. Tracing one of two keeps the size symbolic.
MOST, TRACED = 1024, 2
# The longest side of a canvas of any size, in pixels.
LONGEST = 4096
NO_PROMPT: Mapping[str, Tensor] = {}


@dataclass(frozen=True)
class Solved:
    """The task that a program solves.

    Attributes:
        solver: The teacher, or its stand-in, that solves it.
        task: Its name.
        labels: The classes that a prompt brought.
    """

    solver: Teacher
    task: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Program:
    """A model, or one task of it, ready to be written.

    Attributes:
        module: Canvases `[B, 3, H, W]`, RGB in [0, 1], to a tensor for each of `outputs`;
            normalization is inside.
        network: The encoder alone, from normalized canvases to its levels.
        spec: From which the network is built.
        outputs: The tensors' names.
        contract: How an image becomes a canvas.
        size: Height and width of the canvases, in pixels.
        facts: What a user of the outputs has to know, such as how boxes are suppressed.
        solved: Its task; None for features.
        dynamic: Whether canvases have any size; `size` is then one of them.
        prompt: Gives an example of the prompt that the module takes beside canvases, as
            `TaskRecord.export_prompt` does; None if it takes none.
    """

    module: nn.Module
    network: nn.Module
    spec: TeacherSpec
    outputs: tuple[str, ...]
    contract: InputContract
    size: Size
    facts: Mapping[str, Any] = field(default_factory=dict)
    solved: Solved | None = None
    dynamic: bool = False
    prompt: Callable[[int, int, Size], dict[str, Tensor]] | None = None

    def run(self, canvases: Tensor, prompt: Mapping[str, Tensor] = NO_PROMPT) -> dict[str, Tensor]:
        """The outputs of canvases `[B, 3, H, W]`; without a prompt, those of an example."""
        if not prompt:
            prompt = self.example(canvases)
        with torch.no_grad():
            found = self.module(canvases, *prompt.values())
        return dict(zip(self.outputs, found, strict=True))

    def example(self, canvases: Tensor, number: int = TRACED) -> dict[str, Tensor]:
        """An example of a prompt for canvases `[B, 3, H, W]`; empty if none is taken."""
        size = (canvases.shape[-2], canvases.shape[-1])
        return self.prompt(len(canvases), number, size) if self.prompt else {}

    def shapes(self) -> dict[str, list[int | str]]:
        """The shape of every output.

        `B` is the batch, `P` the number of prompts, `varies` what depends on the canvas.
        """
        first, last = (torch.rand(1, 3, *size) for size in (self.size, self.sizes()[-1]))
        found, other = self.run(first), self.run(last, self.example(last, TRACED + 1))
        shapes: dict[str, list[int | str]] = {}
        for name, value in found.items():
            pairs = enumerate(zip(value.shape[1:], other[name].shape[1:], strict=True))
            kinds = ["P" if self.prompt and not place else "varies" for place in range(value.ndim)]
            shapes[name] = ["B", *(a if a == b else kinds[place] for place, (a, b) in pairs)]
        return shapes

    def sizes(self) -> list[Size]:
        """Sizes of canvases that the export is checked at: one, or three."""
        (h, w), more = self.size, self.contract.multiple
        return [self.size, (h + more, w), (h + more, w + 2 * more)] if self.dynamic else [self.size]

    def dims(self) -> dict[str, Any]:
        """What is left open in canvases `[B, 3, H, W]` and prompts, as `torch.export` takes it."""
        open_dims: dict[int, Any] = {0: torch.export.Dim("batch", min=1, max=MOST)}
        if self.dynamic:
            multiple = self.contract.multiple
            for place, name in ((2, "rows"), (3, "columns")):
                dim = torch.export.Dim(name, min=2, max=max(LONGEST // multiple, 3))
                open_dims[place] = multiple * dim if multiple > 1 else dim
        prompts, parts = (torch.export.Dim(x, min=1, max=MOST) for x in ("prompts", "parts"))
        asked = {0: open_dims[0], 1: prompts, 2: parts}
        taken = tuple(asked for _ in self.example(torch.empty(1, 3, *self.size)))
        return {"canvas": open_dims, **({"prompt": taken} if taken else {})}

    def traced(self) -> tuple[Tensor, ...]:
        """What the module is traced with: canvases, and a prompt if it takes one."""
        canvases = torch.rand(TRACED, 3, *self.size)
        return canvases, *self.example(canvases).values()

    def canvases(self, images: Sequence[Tensor], size: Size | None = None) -> Tensor:
        """Canvases `[B, 3, H, W]` of images, RGB uint8 `[3, h, w]` each, of one size."""
        made = [make_canvases([image], self.contract)[0] for image in images]
        return torch.cat([rescale(canvas, size or self.size) for canvas in made])


class _Features(nn.Module):
    """All levels of an encoder."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        _register(self, encoder)

    def forward(self, canvas: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.encoder.encode(canvas, []).values())


class _Task(nn.Module):
    """An encoder and one of its decoders."""

    def __init__(
        self, solver: Any, record: TaskRecord, prompt: Any, given: Sequence[str] = ()
    ) -> None:
        super().__init__()
        assert record.export is not None
        self.solver, self.record, self.given = solver, record, given
        if isinstance(prompt, Tensor):  # part of the module, so that it is cast with it
            self.register_buffer("prompt", prompt, persistent=False)
        else:
            self.prompt = prompt
        self.tensors = resolve_reference(record.export)
        _register(self, solver)

    def forward(self, canvas: Tensor, *prompt: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.outputs(canvas, *prompt)[0].values())

    def outputs(self, canvas: Tensor, *prompt: Tensor) -> Outputs:
        # The canvas is all image: what is padding, whoever makes the canvas knows.
        h, w = size = (canvas.shape[-2], canvas.shape[-1])
        frames = [Frame(size, (0, 0, w, h), size, (0, 0), size)]
        levels = Levels(self.solver.encode(canvas, []).tensors, frames)
        given = dict(zip(self.given, prompt, strict=True)) if prompt else self.prompt
        return self.tensors(self.solver.decoders, self.record.name, levels, given)


def _register(module: nn.Module, encoder: Encoder) -> None:
    """Makes the parameters of an encoder, which need not be a module, those of a module."""
    for name, part in vars(encoder).items():
        if isinstance(part, nn.Module):
            module.add_module(f"of_{name}", part)


def features_program(model: Model, size: Size | None = None, dynamic: bool = False) -> Program:
    """A model's own features.

    Args:
        model: On the CPU.
        size: Height and width of the canvases, in pixels; the model's own by default.
        dynamic: Whether canvases have any size.
    """
    encoder = model.encoder
    contract, size = _contract(encoder.spec.input, size or model.canvas, dynamic)
    module = _Features(encoder).eval()
    names = tuple(encoder.encode(torch.rand(1, 3, *size), []))
    return Program(module, model.network, encoder.spec, names, contract, size, dynamic=dynamic)


def task_program(
    model: Model, teacher: str, record: TaskRecord, prompt: Mapping[str, Any],
    size: Size | None = None, dynamic: bool = False,
) -> Program:  # fmt: skip
    """One task of a model.

    Args:
        model: On the CPU.
        teacher: Whose decoder solves it.
        record: The task.
        prompt: What it has to be told, such as `labels`; it becomes part of the export.
        size: Height and width of the canvases, in pixels; the teacher's own by default.
        dynamic: Whether canvases have any size.

    Raises:
        UsageError: If the task, or this decoder, cannot be exported.
    """
    if record.export is None:
        raise UsageError(f"{record.name} cannot be exported", "export the features: leave --task")
    solver = model.solver(teacher)
    asks = resolve_reference(record.export_prompt) if record.export_prompt else None
    prepared = solver.prompt(record.name, **prompt) if record.prompt and not asks else None
    own = solver.spec.input
    contract, size = _contract(own, size or _square(own), dynamic)
    # A stand-in sees padding in the color that the student was trained with; there are no frames
    # here to tell what is padding.
    contract = contract.model_copy(update={"pad_value": model.pad_value})
    example = asks(1, TRACED, size) if asks else {}
    module = _Task(solver, record, prepared, tuple(example)).eval()
    with torch.no_grad():
        tensors, facts = module.outputs(torch.rand(1, 3, *size), *example.values())
    solved = Solved(solver, record.name, tuple(prompt.get("labels", ())))
    return Program(
        module, model.network, model.encoder.spec, tuple(tensors), contract, size, facts, solved,
        dynamic, asks,
    )  # fmt: skip


def _square(contract: InputContract) -> Size:
    side = -(-contract.size // contract.multiple) * contract.multiple
    return side, side


def _contract(contract: InputContract, size: Size, dynamic: bool) -> tuple[InputContract, Size]:
    """The contract with which canvases of a size are made.

    Raises:
        UsageError: If the encoder does not take this size.
    """
    h, w = size
    if h % contract.multiple or w % contract.multiple:
        raise UsageError(
            f"the canvas {h} x {w} does not fit", f"sides are multiples of {contract.multiple}"
        )
    if dynamic:
        return contract, size
    if h != w or contract.policy == "short-side":
        return contract.model_copy(update={"policy": "stretch", "size": max(h, w)}), size
    resize = contract.resize and round(contract.resize * h / contract.size)
    return contract.model_copy(update={"size": h, "resize": resize}), size
