"""What the package offers: data only, so that listing it imports no torch."""

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import Attachment, InputContract, Level, TeacherSpec, Weights

TINY = TeacherSpec(
    name="acme/tiny",
    aliases=("acme",),
    # It can be the base of a student by default.
    role="general",
    summary="the lowest frequencies of every 8 x 8 pixels",
    # The code, by name: imported when the teacher is used.
    encoder="kivfm_acme.model:build_encoder",
    # What the encoder returns. A level's channels never depend on the number of classes.
    levels=(
        Level(name="dense", kind="dense", channels=18, stride=8),
        Level(name="global", kind="global", channels=18),
    ),
    # How an image becomes the encoder's canvas; the core does it, normalization included.
    input=InputContract(
        policy="stretch",
        size=96,
        multiple=8,
        train_sizes=(96, 128),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    ),
    # Where adapters can hook in, if a student's trunk shall be this encoder.
    attachments=(Attachment(module="cells", channels=18, layout="NCHW", stride=8),),
    # Where the weights are: here in the package; or hf:ORG/NAME/FILE on the hub.
    weights=Weights(
        source="package:kivfm_acme/weights.safetensors",
        split="kivfm_acme.model:split",
        # Both are printed by `kivfm teachers check`.
        sha256="f4a23e51aa7ad4bf205a33eada1d0b840e42bf1a5b8050364a309472d140b336",
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
