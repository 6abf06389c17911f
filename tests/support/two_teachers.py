"""A package of teachers that are listed and composed, and never loaded."""

TWO = """
@hookimpl
def kivfm_register_teachers():
    trunk = dict(
        role="general",
        levels=(Level(name="x", kind="global", channels=8), V),
        attachments=(Attachment(module="a", channels=8, layout="NLC", stride=16),),
    )
    return [
        spec("base/small", aliases=("base",), **trunk),
        spec("base/tiny", **trunk),
        spec("other/small", aliases=("other",)),
    ]
from kivfm_core.spec import Attachment
V = Level(name="v", kind="dense", channels=8, stride=16)
def spec(name, levels=(V,), **more):
    return TeacherSpec(
        name=name, encoder="m:build", levels=levels, parameters=1000, code_license="MIT",
        input=InputContract(policy="stretch", size=32),
        weights=Weights(source="run:/no-such", split="m:split", license="CC-BY-NC-4.0"), **more,
    )
"""
