"""Reads a frozen base at its attachment points through hooks; its code is never changed."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from kivfm_core.errors import UsageError, printable
from kivfm_core.spec import Attachment

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle


def _store_output(
    store: dict[str, Tensor], name: str, module: nn.Module, args: Any, output: Tensor
) -> None:
    store[name] = output


@contextmanager
def intermediate_outputs(encoder: nn.Module, paths: Sequence[str]) -> Generator[dict[str, Tensor]]:
    """Collects the outputs of submodules, by path, of the passes made within this context.

    Raises:
        UsageError: If there is no such submodule.
    """
    store: dict[str, Tensor] = {}
    try:
        modules = [encoder.get_submodule(path) for path in paths]
    except AttributeError as error:
        raise UsageError(f"an attachment point is not there: {printable(str(error))}") from error
    handles: list[RemovableHandle] = [
        module.register_forward_hook(partial(_store_output, store, path))
        for module, path in zip(modules, paths, strict=True)
    ]
    try:
        yield store
    finally:
        for handle in handles:
            handle.remove()


def as_map(output: Tensor, attachment: Attachment, grid: tuple[int, int]) -> Tensor:
    """An attachment's output as a map `[B, C, h, w]`, prefix tokens removed."""
    if attachment.layout == "NCHW":
        return output
    if attachment.layout == "NHWC":
        return output.permute(0, 3, 1, 2)
    tokens = output[:, attachment.prefix_tokens :]
    return tokens.transpose(1, 2).unflatten(2, grid)
