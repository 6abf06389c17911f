"""Whether a decoder gives a mask for each prompt, whatever the prompt's clicks and box."""

from __future__ import annotations

from kivfm_core.errors import KivfmError, one_line
from kivfm_core.geometry import Click, MaskPrompt, Size
from kivfm_core.predictions import Masks
from kivfm_core.reference import resolve_reference
from kivfm_core.task import TaskRecord
from kivfm_core.teacher import Levels, Teacher
from kivfm_core.testing.outcome import Finding


def forms(size: Size) -> dict[str, list[MaskPrompt]]:
    """Prompts of every form, for an image of `(height, width)`."""
    h, w = size
    here, there = Click(0.3 * w, 0.6 * h), Click(0.4 * w, 0.5 * h)
    beside, box = Click(0.8 * w, 0.2 * h, positive=False), (0.2 * w, 0.2 * h, 0.7 * w, 0.8 * h)
    click = MaskPrompt((here,))
    return {
        "no prompt": [],
        "two prompts of one click": [click, MaskPrompt((there,))],
        "one prompt of two clicks": [MaskPrompt((here, there))],
        "a click and a negative one": [MaskPrompt((here, beside))],
        "a box": [MaskPrompt(box=box)],
        "a click and a box": [MaskPrompt((here,), box)],
        "prompts of several forms": [click, MaskPrompt((here, there)), MaskPrompt(box=box), click],
    }


def prompts_fit(task: TaskRecord, teacher: Teacher, levels: Levels) -> None:
    """Raises a finding unless each prompt gives a mask, or is refused with a sentence."""
    if task.prompt is None or "prompts" not in task.prompt.flags:
        return
    for form, prompts in forms(levels.frames[0].original).items():
        raw = resolve_reference(task.prompt.build)({"prompts": prompts}, levels.frames)
        try:
            found = teacher.decode(task.name, levels, teacher.prompt(task.name, **raw))
        except KivfmError:  # a prompt that it refuses, in words for users
            continue
        except Exception as error:
            raise Finding(
                f"the decoder of {task.name} raises at {form}: {one_line(error)}",
                "serve it, or raise kivfm_core.errors.UsageError in prompt()",
            ) from error
        counts = [len(masks) for masks in found.logits] if isinstance(found, Masks) else []
        if set(counts) - {len(prompts)}:
            raise Finding(
                f"the decoder of {task.name} gives {counts[0]} masks at {form}",
                "return one mask for each prompt, however many clicks it has",
            )
