"""What a teacher declares: the static, torch-free description that plugins register.

A spec is data. Code is named by reference (`"package.module:function"`) and imported only when the
teacher is used, so that listing a hundred teachers imports none of their libraries.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from kivfm_core.errors import UsageError

API_VERSION = 2
# The api versions of records that this kivfm reads: its own, and the one before.
READS = (1, 2)

Triple = tuple[float, float, float]
# Pixels along a canvas: more than any vision model takes. A stored spec may be anyone's.
Side = Annotated[int, Field(gt=0, le=8192)]
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$"
REFERENCE = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
# With a commit, tag or branch where one is pinned.
HUB = r"hf:[^/@]+/[^/@]+(@\w[\w.-]*)?"
# A package within a package is not taken: to find it, the outer one would be imported.
SOURCE = rf"^(package:\w+/.+|{HUB}/.+|torch:.+|run:.+)$"
TASK = r"^[a-z0-9]+(-[a-z0-9]+)*$"
TOKENIZER = rf"^(package:\w+/.+|{HUB}|run:.+)$"

# The name of a task. Which tasks there are, built-in and plugins', discovery knows.
Task = Annotated[str, Field(pattern=TASK)]


def _stays_inside(source: str | None) -> str | None:
    """Refuses a source whose path is absolute or goes up; `run:FOLDER`, which kivfm makes, may."""
    kind, _, rest = (source or "").partition(":")
    # What comes before the path: a package's name, or the hub's ORG/NAME.
    before = {"package": 1, "hf": 2}.get(kind, 0)
    parts = rest.split("/")[before:]
    if kind != "run" and (".." in parts or (parts and not parts[0] and rest)):
        raise ValueError(f"the path of {source!r} leads out of its place")
    return source


class Record(BaseModel):
    """An immutable record that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Level(Record):
    """One named output of an encoder.

    Attributes:
        name: The level's name, unique within the teacher.
        kind: `global` gives `[B, C]`; `dense` gives `[B, C, h, w]`, prefix tokens removed.
        channels: C; never depends on the number of classes.
        stride: Canvas pixels a cell, for dense levels.
        rounding: How `h` follows from canvas / stride.
    """

    name: str
    kind: Literal["global", "dense"]
    channels: int = Field(gt=0)
    stride: int | None = Field(default=None, gt=0)
    rounding: Literal["ceil", "floor"] = "floor"

    @model_validator(mode="after")
    def _stride_is_for_dense(self) -> Self:
        if (self.kind == "dense") != (self.stride is not None):
            raise ValueError(f"level {self.name!r}: dense levels have a stride, global ones none")
        return self

    def grid(self, canvas: tuple[int, int]) -> tuple[int, int]:
        """The `(h, w)` of a dense level on a canvas of `(height, width)` pixels."""
        if self.stride is None:
            raise ValueError(f"level {self.name!r} is global and has no grid")
        up = self.stride - 1 if self.rounding == "ceil" else 0
        return (canvas[0] + up) // self.stride, (canvas[1] + up) // self.stride


class InputContract(Record):
    """How an image becomes the canvas that an encoder gets.

    Attributes:
        policy: `stretch` to a square; `letterbox` into a square, content top left;
            `letterbox-center`; `short-side`: short side to `size`, long side at most `max_size`;
            `short-side-crop`: short side to `resize`, then the central `size` x `size`.
        size: Side of the square canvas, or the short side, in pixels, for evaluation.
        max_size: Limit of the long side (`short-side`).
        resize: Short side before the crop (`short-side-crop`); `size` if not given.
        multiple: Canvas sides are multiples of this; `short-side` pads bottom and right.
        pad_value: RGB in [0, 1].
        interpolation: Resampling filter.
        antialias: Whether the filter widens when shrinking.
        rounding: Rounding of the resized image's sides to whole pixels.
        crop_rounding: Rounding of the crop's corner to whole pixels (`short-side-crop`); `nearest`
            rounds halves to the even pixel, as torchvision does.
        channel_order: Order of the channels that the network takes.
        scale: What 1.0 becomes before mean and std: 1 or 255.
        mean: Subtracted, in `channel_order`, after `scale`.
        std: Divided by, in `channel_order`, after `scale`.
        train_sizes: Square canvas sides for distillation, the preferred first; `size` if empty.
    """

    policy: Literal["stretch", "letterbox", "letterbox-center", "short-side", "short-side-crop"]
    size: Side
    max_size: Side | None = None
    resize: Side | None = None
    multiple: Side = 1
    pad_value: Triple = (0.0, 0.0, 0.0)
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    antialias: bool = True
    rounding: Literal["floor", "nearest"] = "floor"
    crop_rounding: Literal["floor", "nearest"] = "nearest"
    channel_order: Literal["RGB", "BGR"] = "RGB"
    scale: float = 1.0
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    train_sizes: tuple[Side, ...] = ()

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        square = () if self.policy == "short-side" else (self.size,)
        for side in (*square, *self.train_sizes):
            if side % self.multiple:
                raise ValueError(f"canvas side {side} is not a multiple of {self.multiple}")
        if self.resize is not None and self.resize < self.size:
            raise ValueError(f"resize {self.resize} is smaller than the crop {self.size}")
        if 0 in self.std:
            raise ValueError("std is divided by: it is not 0")
        return self

    def short_side_scale(self, short: int, long: int) -> float:
        """Resized / original, under `short-side`, for an image of these sides in pixels."""
        scale = self.size / short
        return scale if self.max_size is None else min(scale, self.max_size / long)

    def train_side(self, limit: int | None = None) -> int:
        """The canvas side for distillation, in pixels.

        Args:
            limit: The largest canvas wanted; the largest declared side within it is taken, or
                the smallest declared. Without a limit the first declared.
        """
        declared = self.train_sizes or (-(-self.size // self.multiple) * self.multiple,)
        if limit is None:
            return declared[0]
        return max((side for side in declared if side <= limit), default=min(declared))


LabelSpace = Literal["imagenet-1k", "coco-80", "coco-91", "voc-21", "open", "none"]


class TaskSpec(Record):
    """A task that the teacher solves out of the box.

    Attributes:
        task: What is solved: a built-in task, or one that a plugin registers.
        levels: Names of the levels that the decoder reads.
        decoder: Reference to `(spec) -> nn.Module`, where the spec has the tasks of this part
            alone; its `forward(levels, prompt)` returns
            predictions in canvas pixels, its optional `prompt(**raw)` prepares a prompt.
        part: Name of the decoder's own state; tasks of one part share one decoder.
        labels: The label space: names in order, a known space (`imagenet-1k`, `coco-80`,
            `coco-91`, `voc-21`), or `open` if the prompt brings them, `none` if there are none.
        tokenizer: The folder of the tokenizer that its prompts need: `hf:ORG/NAME[@REVISION]` (the
            hub), `package:NAME/PATH` or `run:FOLDER`.
    """

    task: Task
    levels: tuple[str, ...] = Field(min_length=1)
    decoder: str = Field(pattern=REFERENCE)
    part: str = "decoder"
    labels: tuple[str, ...] | LabelSpace = "none"
    tokenizer: Annotated[str | None, AfterValidator(_stays_inside)] = Field(
        default=None, pattern=TOKENIZER
    )


class Attachment(Record):
    """A module in a base's encoder whose output an adapter reads.

    Attributes:
        module: Path of the submodule whose output is read.
        channels: Channels of that output.
        layout: `NLC` tokens, `NCHW` or `NHWC` maps.
        stride: Canvas pixels a cell. Tokens (`NLC`) are a grid exactly; a map (`NCHW`, `NHWC`) may
            lack cells at the border, one a side or a tenth of them: it is resized where it is
            read.
        prefix_tokens: Tokens before the grid (`NLC`).
    """

    module: str
    channels: int = Field(gt=0)
    layout: Literal["NLC", "NCHW", "NHWC"]
    stride: int = Field(gt=0)
    prefix_tokens: int = Field(default=0, ge=0)


class Weights(Record):
    """Where a teacher's weights come from, and what their license allows.

    Attributes:
        source: `package:NAME/PATH` (a file in an installed package),
            `hf:ORG/NAME[@REVISION]/FILE` (the hub; a commit, tag or branch can be pinned),
            `torch:FILE` (torch's hub cache), `run:FOLDER` (a student).
        split: Reference to `(spec, state) -> {"encoder": {...}, PART: {...}}`: how the upstream
            file's state becomes the encoder's and each decoder's. A part may be absent if it
            has no parameters.
        fetch: Reference to `(spec) -> Path`; needed for `torch:` only.
        sha256: Hash of the file, where known; otherwise recorded at first use.
        bytes: Size of the file, where known.
        gated: Whether the hub asks for an agreement first.
        license: SPDX identifier where there is one, else a name; `unknown` if unknown.
        commercial_use: What the license allows.
        golden: By level, mean and standard deviation of its channels' means on the conformance
            kit's images; `kivfm teachers check` prints them.
    """

    source: Annotated[str, AfterValidator(_stays_inside)] = Field(pattern=SOURCE)
    split: str = Field(pattern=REFERENCE)
    fetch: str | None = Field(default=None, pattern=REFERENCE)
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    bytes: int | None = Field(default=None, gt=0)
    gated: bool = False
    license: str = "unknown"
    commercial_use: Literal["yes", "no", "unknown"] = "unknown"
    golden: dict[str, tuple[float, float]] = Field(default_factory=dict)


class TeacherSpec(Record):
    """The static description of a teacher.

    Attributes:
        api_version: Version of this record's format; read before any other field.
        name: `family/variant`, as in the hubs' `org/model`.
        aliases: Other names. A bare family name is the family's default variant.
        role: `general` teachers can be the base by default; `purpose` teachers are added to it.
        summary: One line for the list.
        encoder: Reference to `(spec) -> nn.Module` with random weights; its `forward(x)` takes
            the normalized canvas `[B, 3, H, W]` and returns `{level name: tensor}`.
        config: What the encoder's and decoders' builders need to know.
        levels: Everything the encoder returns.
        input: How an image becomes its canvas.
        tasks: What it solves out of the box; empty for a teacher that only gives levels.
        attachments: Where adapters can hook in, shallow to deep; empty if it cannot be a base.
        weights: Where they come from, and what their license allows.
        code_license: SPDX identifier of the architecture's code.
        requirements: PEP 508 requirements beyond kivfm's own.
        parameters: Number of the encoder's parameters.
        paper: Address of the paper.
        original: Reference to `(spec) -> nn.Module`: the whole model as upstream wrote it, which
            the conformance kit compares with. Its state is the upstream file's, its
            `forward(canvases, prompts)` takes RGB in [0, 1] and what `prompt` takes by task, and
            returns `{task: predictions}`.
    """

    api_version: Literal[1, 2] = API_VERSION
    name: str = Field(pattern=NAME)
    aliases: tuple[str, ...] = ()
    role: Literal["general", "purpose"] = "purpose"
    summary: str = ""
    encoder: str = Field(pattern=REFERENCE)
    config: dict[str, Any] = Field(default_factory=dict)
    levels: tuple[Level, ...] = Field(min_length=1)
    input: InputContract
    tasks: tuple[TaskSpec, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    weights: Weights
    code_license: str = "unknown"
    requirements: tuple[str, ...] = ()
    parameters: int = Field(gt=0)
    paper: str = ""
    original: str | None = Field(default=None, pattern=REFERENCE)

    @property
    def family(self) -> str:
        """`clip` of `clip/vit-b-16`."""
        return self.name.split("/", 1)[0]

    @property
    def variant(self) -> str:
        """`vit-b-16` of `clip/vit-b-16`."""
        return self.name.partition("/")[2]

    def level(self, name: str) -> Level:
        """The level of this name.

        Raises:
            UsageError: If there is none.
        """
        levels = {level.name: level for level in self.levels}
        if name not in levels:
            raise UsageError(f"{self.name} has no level {name}", f"it has: {', '.join(levels)}")
        return levels[name]

    def task(self, task: str) -> TaskSpec:
        """What it declares of this task.

        Raises:
            UsageError: If it does not solve it.
        """
        tasks = {spec.task: spec for spec in self.tasks}
        if task not in tasks:
            solves = ", ".join(tasks) or "no task"
            raise UsageError(f"{self.name} does not solve {task}", f"it solves: {solves}")
        return tasks[task]

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        names = [level.name for level in self.levels]
        if len(set(names)) != len(names):
            raise ValueError(f"level names repeat: {names}")
        decoders: dict[str, str] = {}
        for task in self.tasks:
            missing = sorted(set(task.levels) - set(names))
            if missing:
                raise ValueError(f"task {task.task!r} reads undeclared levels {missing}")
            if decoders.setdefault(task.part, task.decoder) != task.decoder:
                raise ValueError(f"part {task.part!r} names two decoders")
        return self


class References(Record):
    """The code that the specs of a provider may name, by role.

    A run stores its teachers' specs, and may come from a stranger: what its specs name is compared
    with this before any of it is imported.

    Attributes:
        encoder: References that `TeacherSpec.encoder` may be.
        decoder: That `TaskSpec.decoder` may be.
        split: That `Weights.split` may be.
        fetch: That `Weights.fetch` may be.
        original: That `TeacherSpec.original` may be.
    """

    encoder: tuple[str, ...] = ()
    decoder: tuple[str, ...] = ()
    split: tuple[str, ...] = ()
    fetch: tuple[str, ...] = ()
    original: tuple[str, ...] = ()


class TeacherProvider(Record):
    """A prefix under which a whole library's models are teachers.

    Attributes:
        prefix: For example `timm/`.
        resolve: Reference to `(name) -> TeacherSpec`, imported when a name under the prefix is
            first selected. Raises `LookupError` naming the nearest names.
        distribution: The library whose version the resolved spec is cached by.
        cached: Whether a resolved spec is stored for the next time; false where a spec does not
            follow from its name and the library's version alone, as on a hub or in a folder.
        summary: One line for the list.
        names: Short names of models under the prefix: what each stands for, without the prefix. A
            teacher's own name, or its alias, comes first.
        references: The code that its specs may name. Without it a stored spec is compared with what
            the resolver says of its name today.
    """

    api_version: Literal[1, 2] = API_VERSION
    prefix: str = Field(pattern=r"^[A-Za-z0-9_.-]+/$")
    resolve: str = Field(pattern=REFERENCE)
    distribution: str
    cached: bool = True
    summary: str = ""
    names: dict[Annotated[str, Field(pattern=NAME)], str] = Field(default_factory=dict)
    references: References | None = None

    def whole(self, name: str) -> str | None:
        """The name under the prefix that a name is, or is short for; None if it is neither."""
        if name in self.names:
            return self.prefix + self.names[name]
        return name if name.startswith(self.prefix) else None
