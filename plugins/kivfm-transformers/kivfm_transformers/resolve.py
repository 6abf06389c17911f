"""From a hub id or folder to a teacher spec: the encoder is built and run on the meta device."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from kivfm_core.errors import UsageError
from kivfm_core.reference import resolve_reference
from kivfm_core.spec import Attachment, InputContract, Level, TaskSpec, TeacherSpec, Weights
from kivfm_transformers.contract import input_contract
from kivfm_transformers.families import FAMILIES, Family, architecture
from kivfm_transformers.repository import Repository, open_repository
from kivfm_transformers.tokens import patch_size

PREFIX = "transformers/"
# Canvas side that levels are found with: a multiple of the usual strides and patch sizes.
PROBE = 448


def resolve(name: str) -> TeacherSpec:
    """The spec of `transformers/<hub id or folder>`.

    Raises:
        UsageError: If there is no such model, or its architecture is not supported.
    """
    repository = open_repository(name.removeprefix(PREFIX).strip("/"))
    short = repository.name
    known = architecture(repository.config)
    if known not in FAMILIES:
        raise UsageError(
            f"{short} is a {known}, which cannot be a teacher",
            f"supported: {', '.join(sorted(FAMILIES))}",
        )
    family = FAMILIES[known]
    config = {
        "architecture": known,
        "config": repository.config,
        "trunk": list(family.trunk),
    }
    encoder = _encoder(family, config)
    contract = _contract(family, repository, encoder.model.config)
    side = contract.size if family.canvas == "own" else PROBE
    levels, attachments = _probe(encoder, family, side)
    return TeacherSpec(
        name=f"{PREFIX}{short}",
        role="general" if attachments and not family.decoders else "purpose",
        summary=f"transformers {known}",
        encoder=_reference(family, "Encoder"),
        config=config,
        levels=levels,
        input=contract,
        tasks=_tasks(family, repository, encoder.model.config, levels),
        attachments=attachments,
        weights=Weights.model_validate(
            {**repository.weights, "split": "kivfm_transformers.model:split"}
        ),
        code_license="Apache-2.0",
        requirements=("transformers>=5",),
        parameters=sum(p.numel() for p in encoder.parameters()),
        original=_reference(family, family.original) if family.original else None,
    )


def _reference(family: Family, kind: str) -> str:
    return f"kivfm_transformers.{family.module}:{kind}"


def _contract(family: Family, repository: Repository, config: Any) -> InputContract:
    processor = repository.preprocessor
    if family.canvas == "any":
        return input_contract(processor, 1)
    if family.canvas == "patch":
        return input_contract(processor, patch_size(config))
    return input_contract(processor, input_contract(processor, 1).size)


def _encoder(family: Family, config: dict[str, Any]) -> Any:
    """The encoder on the meta device; it needs no more of a spec than its configuration."""
    with torch.device("meta"):
        return resolve_reference(_reference(family, "Encoder"))(
            TeacherSpec.model_construct(config=config)
        )


def _probe(
    encoder: Any, family: Family, side: int
) -> tuple[tuple[Level, ...], tuple[Attachment, ...]]:
    """The levels and the attachments, as a canvas of `side` pixels shows them."""
    seen: dict[str, Tensor] = {}
    blocks = encoder.get_submodule(f"model.{family.blocks}") if family.blocks else nn.ModuleList()
    for index, block in enumerate(blocks.children()):
        path = f"model.{family.blocks}.{index}"
        block.register_forward_hook(lambda _m, _x, y, path=path: seen.update({path: y}))
    with torch.no_grad():
        found = encoder(torch.empty(1, 3, side, side, device="meta"))
    levels = [
        Level(name=name, kind="global", channels=value.shape[1])
        if value.ndim == 2
        else Level(
            name=name,
            kind="dense",
            channels=value.shape[1],
            stride=side // value.shape[2],
            rounding=family.rounding,
        )
        for name, value in found.items()
    ]
    attachments = [
        Attachment(
            module=path,
            channels=tokens.shape[2],
            layout="NLC",
            stride=side // found["dense"].shape[2],
            prefix_tokens=tokens.shape[1] - found["dense"][0, 0].numel(),
        )
        for path, tokens in seen.items()  # [1, N, C]
    ]
    return tuple(levels), tuple(attachments)


def _tasks(
    family: Family, repository: Repository, config: Any, levels: tuple[Level, ...]
) -> tuple[TaskSpec, ...]:
    labels: tuple[str, ...] | Literal["open", "none"]
    if family.labels == "config":
        labels = tuple(config.id2label[index] for index in range(config.num_labels))
    else:
        labels = family.labels
    names = tuple(level.name for level in levels)
    reads = ("global",) if "global" in names else names
    return tuple(
        TaskSpec(
            task=task,
            levels=reads,
            decoder=_reference(family, decoder),
            part=task.replace("-", "_"),
            labels=labels,
            tokenizer=repository.source if task == "zero-shot" else None,
        )
        for task, decoder in family.decoders
    )
