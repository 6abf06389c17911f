"""How a head is trained. Torch-free."""

from __future__ import annotations

from pydantic import Field

from kivfm_core.composition.composition import Unfreeze
from kivfm_core.heads.table import HEADS
from kivfm_core.spec import TASK, Record


class HeadSettings(Record):
    """What decides how a head is trained; a head that is resumed has the same.

    Attributes:
        task: What it solves.
        kind: Its kind, of `kivfm_core.heads.table.HEADS`.
        name: What it is called: `head/NAME` among the student's teachers.
        data: `[FORMAT:]PATH` of the labels to learn from.
        val: `[FORMAT:]PATH` of the labels to validate on.
        steps: Optimizer steps, at most.
        batch_size: Images in a step.
        lr: Learning rate of AdamW; it falls to zero along a half cosine. None: the kind's.
        augment: Whether images are flipped, zoomed and recolored anew in each step. The student
            then runs in each step, where otherwise it runs once an image.
        every: Steps between validations.
        patience: Validations without a better score after which training stops.
        limit: At most so many images to learn from, evenly spread; None: all.
        seed: Of the first weights, of the order of images, and of augmentations.
        unfreeze: What of the student is trained with the head.
        keep: Weight of the penalty that then keeps the student's stand-ins where they were.
        reads: Names of the student's features that it reads; None: all that its kind reads.
    """

    task: str = Field(pattern=TASK)
    kind: str = Field(pattern=TASK)
    name: str = Field(pattern=TASK)
    data: str
    val: str
    steps: int = Field(default=500, ge=1)
    batch_size: int = Field(default=16, ge=2)
    lr: float | None = Field(default=None, gt=0)
    augment: bool = False
    every: int = Field(default=50, ge=1)
    patience: int = Field(default=5, ge=1)
    limit: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)
    unfreeze: Unfreeze = "none"
    keep: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    reads: tuple[str, ...] | None = Field(default=None, min_length=1)

    @property
    def rate(self) -> float:
        """The learning rate that is given, or else the kind's own."""
        return self.lr or HEADS[self.kind].lr
