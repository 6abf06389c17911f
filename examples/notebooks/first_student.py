# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # First student
#
# Three tiny teachers become one student: offline, on a CPU, in a few minutes. You need
# `pip install 'kivfm[nano]'`. The same by commands, with more to read, is the tutorial
# `docs/tutorial/first-student.md`.

# %% tags=["parameters"]
IMAGES = 400  # unlabeled, to distill on
HELD_OUT = 40  # labeled, to measure on
STEPS = 300
FOLDER = "first-student"

# %%
from pathlib import Path

import kivfm_core
from kivfm_core.config import RunConfig
from kivfm_core.scenes.write import write_scenes

# %% [markdown]
# ## Images
#
# The tiny teachers know drawn scenes only, so scenes are drawn. Any folder of images would do for
# real teachers.

# %%
folder = Path(FOLDER)
write_scenes(folder / "data", train=IMAGES, val=HELD_OUT, per_class=0)

# %% [markdown]
# ## The plan
#
# `dino/nano` is general: its encoder becomes the trunk, and stays frozen. The others each bring a
# task. No weights are loaded here.

# %%
config = RunConfig.model_validate(
    {
        "teachers": ["dino/nano", "detector/nano", "sam/nano"],
        "data": {"path": str(folder / "data/train/images"), "image_size": [96], "views": 1},
        "student": {"width": 192},
        "optim": {"steps": STEPS, "batch_size": 8},
    }
)
plan = kivfm_core.compose(config)
plan

# %% [markdown]
# ## Distill

# %%
run = kivfm_core.distill(config, out=folder / "run")

# %% [markdown]
# ## Measure
#
# For each task the same images go to the teacher, to the student in its place, and to the student
# before its first step. Retention is the student's score divided by the teacher's.

# %%
result = kivfm_core.evaluate(run, [str(folder / "data/val")])
for row in result.rows:
    print(row.teacher, row.task, row.teacher_score, row.untrained_score, row.student_score)

# %% [markdown]
# ## Use it
#
# One encoder; the detector's decoder finds boxes, SAM's follows a click.

# %%
m = kivfm_core.load(run)
image = sorted((folder / "data/val/images").iterdir())[3]
m.predict(image, "detection").draw()

# %%
m.predict(image, "promptable-segmentation", points=[(59, 90)]).draw()

# %% [markdown]
# Its features, one vector for the image and a map of vectors:

# %%
found = m.features(image)
found.vector.shape, found.maps["V"].shape
