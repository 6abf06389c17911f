"""kivfm's own recipes."""

from __future__ import annotations

from kivfm_core.recipes.recipe import Match, Recipe

LEVELS = Recipe(
    source="kpu without decoders",
    global_match=Match(target="direction", distance="angle"),
    dense_match=Match(target="principal", distance="mse-cosine"),
    projector="convolution",
)

KPU = LEVELS.model_copy(
    update={
        "source": "KPU (arXiv 2508.14707): student and teachers meet in a shared latent. The "
        "paper's loss is not public; ours is squared error and cosine of standardized coordinates, "
        "angles of global levels (C-RADIOv4), and differences between decoders' outputs",
        "readout": 1.5,
        # Levels first give decoders something to judge; what counts at the end is their judgment.
        "readout_start": 1 / 3,
    }
)

KPU_JOINT = KPU.model_copy(
    update={
        "source": "KPU as its name says it, a space that teachers share: one head for what they "
        "have in common (MAXVAR correlation analysis), small ones for what only one of them says",
        "aligner": "joint",
        "shared": 64,
        "agreement": 0.5,
        "private": 0.25,
        "private_global": 0.25,
    }
)

KPU_JOINT_LEARNED = KPU_JOINT.model_copy(
    update={
        "source": "kpu-joint, its maps to the shared space trained with the student from the fit "
        "on, as the paper's projectors may be; held from collapse as in VICReg (arXiv 2105.04906)",
        "aligner": "joint-learned",
        "hold": 0.5,
    }
)
