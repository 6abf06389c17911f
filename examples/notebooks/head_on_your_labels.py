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
# # A head on your own labels
#
# A student's features carry a classifier and a detector for classes of your own. The student stays
# as it is; only the heads are trained. You need `pip install 'kivfm[nano]' scikit-learn`.
#
# `MODEL` may be your run, a bundle, or a teacher. Here it is `dino/nano`, a tiny teacher, so that
# the notebook runs offline. Run it a second time with your student: the difference between the two
# tells whether distilling helps your task.

# %% tags=["parameters"]
MODEL = "dino/nano"
SCENES = 80
CLASSES = 6
IMAGES = 16  # of each class
STEPS = 100
FOLDER = "head"

# %%
import json
from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.transforms.v2.functional import to_dtype

import kivfm_core
from kivfm_core.data.canvas import to_tensor
from kivfm_core.data.images import open_image
from kivfm_core.scenes.write import write_scenes

m = kivfm_core.load(MODEL)

# %% [markdown]
# ## Labels
#
# Two common forms: a folder of images for each class, and COCO's `instances.json`. Put your own in
# their place.

# %%
folder = Path(FOLDER)
write_scenes(folder / "data", train=1, val=SCENES, per_class=IMAGES)
classes = sorted((folder / "data/val/classes").iterdir())[:CLASSES]

# %% [markdown]
# ## A classifier
#
# The features of all images are computed once. Every second image is held out.

# %%
files = [(file, name.name) for name in classes for file in sorted(name.iterdir())]
vectors = m.features([file for file, _ in files]).vector.numpy()
names = [name for _, name in files]
classifier = LogisticRegression(max_iter=1000).fit(vectors[::2], names[::2])
print(f"top-1: {classifier.score(vectors[1::2], names[1::2]):.3f}, chance: {1 / len(classes):.3f}")

# %% [markdown]
# ## A detector
#
# torchvision's FCOS reads the model's maps. The backbone normalizes, so FCOS must not. The model
# itself is frozen; what is trained are FCOS's own layers, and a convolution for every map.

# %%
coco = json.loads((folder / "data/val/instances.json").read_text())


def load_image(record):
    """An image of COCO's list, RGB in [0, 1], with its boxes (xyxy) and labels."""
    tensor = to_tensor(open_image(folder / "data/val/images" / record["file_name"]))
    found = [a for a in coco["annotations"] if a["image_id"] == record["id"]]
    boxes = torch.tensor([a["bbox"] for a in found], dtype=torch.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    labels = torch.tensor([a["category_id"] for a in found], dtype=torch.int64)
    return to_dtype(tensor, torch.float32, scale=True), {"boxes": boxes, "labels": labels}


m.module.requires_grad_(False)
backbone = m.backbone(out_channels=64)
levels = len(backbone.names)
detector = FCOS(
    backbone,
    num_classes=1 + max(kind["id"] for kind in coco["categories"]),
    anchor_generator=AnchorGenerator(tuple((8 * 2**i,) for i in range(levels)), ((1.0,),) * levels),
    min_size=112,
    image_mean=[0.0] * 3,
    image_std=[1.0] * 3,
)
optimizer = torch.optim.AdamW((p for p in detector.parameters() if p.requires_grad), lr=1e-3)

# %%
held_out, *rest = coco["images"]
detector.train()
for step in range(STEPS):
    batch = [load_image(rest[(2 * step + i) % len(rest)]) for i in range(2)]
    losses = detector([image for image, _ in batch], [target for _, target in batch])
    loss = sum(losses.values())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(step, round(loss.item(), 3))

# %%
image, target = load_image(held_out)
with torch.no_grad():
    (found,) = detector.eval()([image])
found["boxes"][:5], found["scores"][:5]

# %% [markdown]
# A hundred steps are too few for a good detector. With your own labels take more, hold images out,
# and measure: an AP without a comparison says little.
