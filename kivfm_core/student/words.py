"""Words in an image: a zero-shot decoder at every place of a student's shared coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.aligners.joint import JointAligner
from kivfm_core.aligners.shared_map import along
from kivfm_core.predictions import SemanticLogits
from kivfm_core.spec import TeacherSpec
from kivfm_core.tasks.zero_shot import ZERO_SHOT
from kivfm_core.teacher import Decoders, Levels

# A word is compared with this one, which fits whatever there is to see.
NEUTRAL = "picture"
# Deviations from the average place, from which on a word fits. Of normal scores, 7 % are above.
FITS = 1.5


class WordDecoders(Decoders):
    """A teacher's decoder of words, which compares them with places in place of whole images.

    A word t is a vector in the space of the teacher's level. That level's map W into the shared
    coordinates takes it to where all teachers meet, and there it is compared with a place's z::

        w = (t - t of a neutral word) W        score = z w / |w|

    Shared coordinates are uncorrelated and of unit variance, so a score is in deviations from the
    average place, whatever the word.

    Args:
        spec: One of `word_specs`.
        decoders: The teacher's.
        aligner: Of the teacher's level that is compared with words.
        level: The name of that level.
    """

    def __init__(
        self, spec: TeacherSpec, decoders: Decoders, aligner: JointAligner, level: str
    ) -> None:
        nn.Module.__init__(self)  # its one part is another's
        self.spec, self.decoders, self.aligner, self.level = spec, decoders, aligner, level

    def prompt(self, task: str, *, labels: Sequence[str], **raw: Any) -> Tensor:
        """The words' directions in the shared coordinates, `[K, L]`, each of length 1."""
        words = self.decoders.prompt(ZERO_SHOT.name, labels=[*labels, NEUTRAL], **raw)
        # W's columns go through the decoder, so it does not matter how it keeps its words. It
        # divides by a vector's length, and may add a constant, which the neutral word has too.
        with torch.no_grad():
            # The student may be on another device than the decoders.
            home = next(self.decoders.parameters())
            into = self.aligner.affine().axes.to(home) @ self.aligner.shared_map.into.to(home)
            given = Levels({self.level: into.T}, [])
            found = cast(Any, self.decoders.decode(ZERO_SHOT.name, given, words)).logits
            directions = (found[:, :-1] - found[:, -1:]) * into.norm(dim=0)[:, None]
            return F.normalize(directions, dim=0)

    def decode(self, task: str, levels: Levels, prompt: Any = None) -> SemanticLogits:
        """How well each word fits each place, in deviations; above 0 where it does."""
        (z,) = levels.values()
        return SemanticLogits(along(z, prompt.to(z)) - FITS)
