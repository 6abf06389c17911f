"""The tables of a run's configuration. Torch-free."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from kivfm_core.adapters.table import check_adapter_kind
from kivfm_core.data.remote.url import check_url, refuse_url
from kivfm_core.data.views import SMALLEST
from kivfm_core.spec import Record, Side

LatentMap = Literal["fixed", "learned"]
Strategy = Literal["auto", "ddp", "fsdp"]


# More processes are no computer's, but a slip of the finger, or a stranger's configuration.
PROCESSES = 1024

# A place on this computer, of which the shell may not have seen the `~`: `clip=~/clip.pth`.
Place = Annotated[str, AfterValidator(os.path.expanduser)]

# In place of a weights file.
RANDOM = "none"


def _on_disk(text: str) -> str:
    """Refuses a cache at a URL."""
    refuse_url(
        text,
        "a cache lies on a disk, since its records are written into files that grow, under locks",
        "--set cache.path=FOLDER; the data may lie at a URL all the same",
    )
    return text


class TeacherChoice(Record):
    """A selected teacher.

    Attributes:
        name: Family, family/variant, a name under a provider's prefix, or the folder of a run or
            bundle whose student is to teach. Where several distributions give the name,
            `distribution::` before it chooses one.
        weight: Its share of the loss, relative to the others'. With 0 the student does not learn
            from it, though it is still evaluated; a base of 0 is not preserved.
    """

    name: str
    weight: float = Field(default=1.0, ge=0)


class StudentConfig(Record):
    """What the student is made of.

    Attributes:
        base: The teacher whose frozen encoder is the trunk; the first general one by default.
        model: A `timm/...` backbone to train in full instead of a base.
        weights: What that backbone starts from: a file, or `none` for random weights. By default
            its published weights, if there are some.
        start: A run to start from. Its student's teachers stay as they are, bit for bit, and the
            other selected teachers are added.
        adapter: Kind of adapter on the base: `side`, `bottleneck`, `lora`, `full`, `depths`
            or `none`.
        width: Channels of a side adapter at the base's stride, by default three quarters of the
            base's, at most 384; of an inner adapter's branches, by default a quarter of the base's,
            or 16 for `lora`. With `start`, the width of the side adapter that is added.
        trunk_size: The trunk's input has at most the area of a square of this side, in pixels. By
            default the base's own input size, to which smaller canvases are always enlarged.
        latent: Coordinates of the shared latent that a dense level takes at most; a global level
            has as many as it has channels.
        latent_map: Whether the teachers' maps into the latent are `fixed`, or `learned` with the
            student.
        hidden: Hidden width of the aligners.
    """

    base: str | None = None
    model: str | None = None
    weights: Place | None = None
    start: Place | None = None
    adapter: str = "side"
    width: int | None = Field(default=None, gt=0)
    trunk_size: Side | None = None
    latent: int = Field(default=256, gt=0)
    latent_map: LatentMap = "fixed"
    hidden: int = Field(default=256, gt=0)

    def anchored(self) -> StudentConfig:
        """The same with absolute paths."""
        given = {"start": self.start, "weights": self.weights}
        paths = {key: str(Path(p).absolute()) for key, p in given.items() if p and p != RANDOM}
        return self.model_copy(update=paths)

    @field_validator("adapter")
    @classmethod
    def _kind_is_known(cls, value: str) -> str:
        return check_adapter_kind(value)


class DataConfig(Record):
    """The images, and the views that are cut from them.

    Attributes:
        path: A folder of images and tars of images, searched recursively, or one tar, here or at a
            URL; the demo scenes if not given.
        image_size: Sides of the student's square canvases, in pixels; the teachers' own by default.
            Of several, one is drawn for each step (stored views take turns).
        teacher_size: Side of the teachers' largest canvases, in pixels; by default that of the
            student's largest. A stand-in resizes its teacher's canvases by the same ratio.
        views: Views of each image that are stored and used again, so that the frozen networks
            run once for each; with 0 every view is new.
        smallest: Smallest side of a view, in short sides of its image.
        whole: Share of the views that hold the whole image; the rest are cut out at random.
        mosaic: Share of the canvases that show four images, a quarter each. They have more and
            smaller objects than photos of single things.
        memory: GiB that stored outputs may take in memory; networks whose outputs do not fit run
            again for every view.
        workers: Loader processes.
        bad_limit: Number of undecodable images that are skipped before the run stops.
    """

    path: Annotated[Place, AfterValidator(check_url)] | None = None
    image_size: tuple[Side, ...] = ()
    teacher_size: Side | None = None
    views: int = Field(default=0, ge=0)
    smallest: float = Field(default=SMALLEST, gt=0, le=1)
    whole: float = Field(default=0.0, ge=0, le=1)
    mosaic: float = Field(default=0.0, ge=0, le=1)
    memory: float = Field(default=4.0, gt=0)
    workers: int = Field(default=0, ge=0, le=PROCESSES)
    bad_limit: int = Field(default=20, ge=0)

    @field_validator("image_size", mode="before")
    @classmethod
    def _one_size_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int | str) else value


class OptimConfig(Record):
    """The optimizer, with linear warm-up and cosine decay.

    Attributes:
        optimizer: `muon`, which learns matrices and convolutions with orthogonalized momentum and
            the rest with AdamW, or `adamw` for all.
        lr: Peak learning rate; for `adamw` about half of the default is best.
        global_level_lr: Peak learning rate of global levels' aligners, unless `lr` is smaller. A
            view gives them one vector only, so their gradients are noisier.
        weight_decay: Weight decay of matrices and convolutions; vectors have none.
        steps: Optimizer steps.
        batch_size: Views of each step.
        micro_batch: Views that the student learns from at once; smaller ones take less memory, and
            results hardly differ. By default a process's whole share, halved whenever memory runs
            out.
        warmup: Steps of warm-up.
        clip: Largest norm of the gradient.
        calibration: Views that the aligners' statistics are fitted on.
        bad_limit: Number of steps with a value that is not finite that are skipped before the run
            stops. Steps that only lower the scale of gradients (`16-mixed`) do not count.
    """

    optimizer: Literal["muon", "adamw"] = "muon"
    lr: float = Field(default=4e-3, gt=0)
    global_level_lr: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=0.02, ge=0)
    steps: int = Field(default=1000, gt=0)
    batch_size: int = Field(default=16, gt=0)
    micro_batch: int | None = Field(default=None, gt=0)
    warmup: int = Field(default=50, ge=0)
    clip: float = Field(default=1.0, gt=0)
    calibration: int = Field(default=256, gt=0)
    bad_limit: int = Field(default=5, ge=0)


class EngineConfig(Record):
    """Devices and precision, as Lightning Fabric names them, and how a step is computed.

    Attributes:
        accelerator: Kind of device, such as cpu or cuda; the best that is there by default.
        devices: Number of devices of each node, or `auto`.
        nodes: Number of nodes.
        precision: Precision of all networks; `auto` is bf16-mixed on a GPU that computes in
            bfloat16, and 32-true elsewhere. A run stores which of them it was.
        strategy: How several processes share a step.
        compile: What is compiled with `torch.compile`: nothing, the trained part, or encoders too.
        activation_checkpointing: Whether activations of the trained part are computed again for
            the gradient instead of being stored.
        memory: GiB of a device's memory that networks are planned to fit in; by default all of it.
    """

    accelerator: str = "auto"
    devices: Annotated[int, Field(gt=0, le=PROCESSES)] | Literal["auto"] = 1
    nodes: int = Field(default=1, gt=0)
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    strategy: Strategy = "auto"
    compile: Literal["off", "student", "all"] = "off"
    activation_checkpointing: bool = False
    memory: float | None = Field(default=None, gt=0)

    @property
    def sharded(self) -> bool:
        """Whether several processes may each hold a part of the trained parameters."""
        return self.strategy == "fsdp" and (self.devices, self.nodes) != (1, 1)


class CacheConfig(Record):
    """Where the outputs for stored views are cached from run to run.

    Attributes:
        path: A folder, which runs may share; if not given, outputs are in memory only.
        limit: GiB that the folder may take; networks whose outputs do not fit run again for every
            view. By default all that is free on the disk.
        encoding: How teachers' levels are stored, in memory too. `bf16` stores them as they are,
            `int8` dense ones in 8-bit integers with a scale for each channel. `latent-bf16` and
            `latent-int8` store only as many principal coordinates as the shared latent takes.
    """

    path: Annotated[Place, AfterValidator(_on_disk)] | None = None
    limit: float | None = Field(default=None, gt=0)
    encoding: Literal["bf16", "int8", "latent-bf16", "latent-int8"] = "bf16"


class CheckpointConfig(Record):
    """Checkpoints: one after every `every` steps, of which the last `keep` stay."""

    every: int = Field(default=200, gt=0)
    keep: int = Field(default=2, gt=0)
