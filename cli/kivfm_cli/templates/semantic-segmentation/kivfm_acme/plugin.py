"""What the package offers: data only, so that listing it imports no torch."""

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import InputContract, Level, TaskSpec, TeacherSpec, Weights

COLORS = ("black", "gray", "white", "red", "yellow", "green", "cyan", "blue", "magenta")

TINY = TeacherSpec(
    name="acme/tiny",
    aliases=("acme",),
    summary="names the color of every 8 x 8 pixels",
    # The code, by name: imported when the teacher is used.
    encoder="kivfm_acme.model:build_encoder",
    original="kivfm_acme.model:Original",
    # What the encoder returns. A level's channels never depend on the number of classes.
    levels=(Level(name="dense", kind="dense", channels=18, stride=8),),
    # How an image becomes the encoder's canvas; the core does it, normalization included.
    input=InputContract(
        policy="stretch",
        size=96,
        multiple=8,
        train_sizes=(96, 128),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    ),
    # What the teacher solves out of the box, and from which levels.
    tasks=(
        TaskSpec(
            task="semantic-segmentation",
            levels=("dense",),
            decoder="kivfm_acme.model:build_decoder",
            labels=COLORS,
        ),
    ),
    # Where the weights are: here in the package; or hf:ORG/NAME/FILE on the hub.
    weights=Weights(
        source="package:kivfm_acme/weights.safetensors",
        split="kivfm_acme.model:split",
        # Both are printed by `kivfm teachers check`.
        sha256="4e9c2339e1b0dc14ea6051ae7bd6813d2c996ddadc5ea2fdb489d5ac5aa72c9b",
        golden={"dense": (0.008571, 0.01594)},
        license="MIT",
        commercial_use="yes",
    ),
    code_license="MIT",
    parameters=3456,
)


@hookimpl
def kivfm_register_teachers() -> list[TeacherSpec]:
    """Give the teachers of this package."""
    return [TINY]
