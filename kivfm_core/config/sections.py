"""The tables of a run's configuration. Torch-free."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from kivfm_core.adapters.table import check_adapter_kind
from kivfm_core.data.views import SMALLEST
from kivfm_core.spec import Record

LatentMap = Literal["fixed", "learned"]
Strategy = Literal["auto", "ddp", "fsdp"]


class TeacherChoice(Record):
    """A selected teacher.

    Attributes:
        name: Family, family/variant, or a name under a provider's prefix; with `distribution::`
            before it, that distribution's, where several give the name.
        weight: Its share of the loss, relative to the others'; one of 0 is not learned from, and
            measured all the same: a base then is not preserved.
    """

    name: str
    weight: float = Field(default=1.0, ge=0)


class StudentConfig(Record):
    """What the student is made of.

    Attributes:
        base: The teacher whose frozen encoder is the trunk; the first general one by default.
        model: A `timm/...` backbone to train from scratch instead of a base.
        start: A run whose student is taken over: the teachers that it knows are kept bit for bit,
            and further ones added.
        adapter: Kind of adapter on the base: `side`, `bottleneck`, `lora`, `full` or `none`.
        width: Channels of a side adapter at the base's stride, by default three quarters of the
            base's, at most 384; of an inner adapter's branches, by default a quarter of the base's,
            or 16 for `lora`. With `start`, of what is added: a side adapter.
        trunk_size: Side of the square whose area the trunk's input gets at most, in pixels; the
            base's own input size by default, which smaller canvases always get.
        latent: Coordinates of the shared latent that a dense level takes at most; a global level
            keeps all it has.
        latent_map: Whether the teachers' maps into it are `fixed`, or `learned` with the student.
        hidden: Hidden width of the aligners.
    """

    base: str | None = None
    model: str | None = None
    start: str | None = None
    adapter: str = "side"
    width: int | None = Field(default=None, gt=0)
    trunk_size: int | None = Field(default=None, gt=0)
    latent: int = Field(default=256, gt=0)
    latent_map: LatentMap = "fixed"
    hidden: int = Field(default=256, gt=0)

    @field_validator("adapter")
    @classmethod
    def _kind_is_known(cls, value: str) -> str:
        return check_adapter_kind(value)


class DataConfig(Record):
    """Where the pictures are and what is cut from them.

    Attributes:
        path: A folder of pictures and tars of pictures, searched recursively, or one tar; the demo
            scenes if not given.
        image_size: Sides of the student's square canvases, one drawn a step
            (stored views take turns); the teachers' own by default.
        teacher_size: Side of the largest canvases at which teachers are asked; of the student's
            largest by default. A stand-in then sees its teacher's canvases at the scale of
            training.
        views: Views of a picture that are stored and used again, which spares the teachers'
            work; 0: every view is a fresh one.
        smallest: Smallest side of a view, in short sides of its picture.
        whole: Share of the views that hold the whole picture; the rest are cut out at random.
        mosaic: Share of the canvases that show four pictures, a quarter each: more and smaller
            objects than pictures of single things have.
        memory: GiB that stored views may take; networks whose answers do not fit are asked anew.
        workers: Loader processes.
        bad_limit: Undecodable pictures that are skipped before the run stops.
    """

    path: str | None = None
    image_size: tuple[Annotated[int, Field(gt=0)], ...] = ()
    teacher_size: int | None = Field(default=None, gt=0)
    views: int = Field(default=0, ge=0)
    smallest: float = Field(default=SMALLEST, gt=0, le=1)
    whole: float = Field(default=0.0, ge=0, le=1)
    mosaic: float = Field(default=0.0, ge=0, le=1)
    memory: float = Field(default=4.0, gt=0)
    workers: int = Field(default=0, ge=0)
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
        lr: Peak learning rate; `adamw` wants about half of the default.
        global_level_lr: Peak learning rate of global levels' aligners, unless `lr` is smaller: a
            view gives them one vector, so their gradients are noisier.
        weight_decay: Of matrices and convolutions; vectors have none.
        steps: Optimizer steps.
        batch_size: Views a step.
        micro_batch: Views that the student learns from at once; a step takes several passes then,
            and little else changes. A process's whole share by default, and less once memory runs
            out.
        warmup: Steps of warm-up.
        clip: Largest norm of the gradient.
        calibration: Views that the aligners' statistics are fitted on.
        bad_limit: Steps that are skipped, since a value in them is not finite, before the run
            stops; not those that only lower the scale of gradients (`16-mixed`).
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
        devices: Number of devices a node, or `auto`.
        nodes: Number of nodes.
        precision: Of all networks' passes; `auto` is bf16-mixed on a GPU that computes in bfloat16,
            and 32-true elsewhere. A run keeps what it came to.
        strategy: How several processes share a step.
        compile: What `torch.compile` takes over.
        activation_checkpointing: Whether activations of what is trained are computed again for
            the gradient, rather than kept.
        memory: GiB of a device's memory that networks are planned to fit in; all that it has by
            default.
    """

    accelerator: str = "auto"
    devices: Annotated[int, Field(gt=0)] | Literal["auto"] = 1
    nodes: int = Field(default=1, gt=0)
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    strategy: Strategy = "auto"
    compile: Literal["off", "student", "all"] = "off"
    activation_checkpointing: bool = False
    memory: float | None = Field(default=None, gt=0)

    @property
    def sharded(self) -> bool:
        """Whether several processes may each keep a part of what is trained."""
        return self.strategy == "fsdp" and (self.devices, self.nodes) != (1, 1)


class CacheConfig(Record):
    """Where stored views are kept from run to run.

    Attributes:
        path: A folder, which runs may share; in memory only if not given.
        limit: GiB that the folder may take; networks whose answers do not fit are asked anew. By
            default all that the disk has.
        encoding: How teachers' levels are kept, in memory too: as they are, in bfloat16; dense
            ones in 8-bit integers with a scale for each channel; or the coordinates of the
            shared latent that they take, in either.
    """

    path: str | None = None
    limit: float | None = Field(default=None, gt=0)
    encoding: Literal["bf16", "int8", "latent-bf16", "latent-int8"] = "bf16"


class CheckpointConfig(Record):
    """Checkpoints: one every `every` steps, the last `keep` of them kept."""

    every: int = Field(default=200, gt=0)
    keep: int = Field(default=2, gt=0)
