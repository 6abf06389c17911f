"""The file format of the weights: half-precision tensors named `PART.key`."""

from collections.abc import Mapping

from torch import Tensor

from kivfm_core.spec import TeacherSpec


def split(spec: TeacherSpec, state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Split a file's tensors into the encoder's and the decoders'."""
    parts: dict[str, dict[str, Tensor]] = {"encoder": {}}
    for key, value in state.items():
        part, _, name = key.partition(".")
        parts.setdefault(part, {})[name] = value
    return parts
