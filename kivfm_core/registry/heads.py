"""Heads as entries of the registry: decoders that a student was given on labels. Torch-free.

A head stands among a student's teachers, and its levels are the student's own features. Nothing
else is behind it: it has no encoder, and its weights lie in the bundle alone.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

from kivfm_core.heads.table import ENCODER, HEADS, PREFIX, SPLIT
from kivfm_core.registry.entry import Entry
from kivfm_core.spec import References, TeacherProvider, TeacherSpec


@cache
def heads() -> Entry:
    """The entry of all heads; the code that a stored head may name is in its references."""
    decoders = tuple(dict.fromkeys(kind.decoder for kind in HEADS.values()))
    provider = TeacherProvider(
        prefix=PREFIX,
        resolve=ENCODER,
        distribution="kivfm",
        cached=False,
        summary="A head that was trained on labels.",
        references=References(encoder=(ENCODER,), decoder=decoders, split=(SPLIT,)),
    )
    return Entry(PREFIX, "kivfm", version("kivfm"), provider=provider)


def is_head(spec: TeacherSpec) -> bool:
    """Whether a student's teacher is a head, which was trained on labels."""
    return spec.encoder == ENCODER
