"""From an open_clip name to a teacher spec: built on the meta device and looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kivfm_core.spec import TeacherSpec
from kivfm_teachers.names import unknown
from kivfm_teachers.open_clip.describe import FILE, describe

if TYPE_CHECKING:
    from torch import nn

# Licenses by the start of the tag, from the publishers' model cards.
LICENSES = {
    "openai": "mit",
    "laion": "mit",
    "datacomp": "mit",
    "commonpool": "mit",
    "metaclip": "cc-by-nc-4.0",
    "webli": "apache-2.0",
    "meta": "apache-2.0",  # Perception Encoder; MetaCLIP is above
}

# Names from before the hub had organizations.
MOVED = {"bert-base-uncased": "google-bert/bert-base-uncased"}


def resolve(name: str) -> TeacherSpec:
    """The spec of `open_clip/<model>/<tag>`.

    Raises:
        LookupError: If open_clip has no such model or tag, or it is not of two separate towers.
    """
    import open_clip

    known = ["/".join(pair) for pair in open_clip.list_pretrained()]
    short = name.removeprefix("open_clip/")
    if short not in known:
        model = short.partition("/")[0]
        raise unknown(short, "open_clip", [k for k in known if k.startswith(f"{model}/")] or known)
    model, tag = short.split("/")
    config = open_clip.get_model_config(model)
    pretrained: dict[str, Any] = open_clip.get_pretrained_cfg(model, tag)
    text = config["text_cfg"]
    if "multimodal_cfg" in config or "hf_model_name" in text:
        raise LookupError(f"{name}: its text tower cannot stand apart from its visual tower")
    quick_gelu = bool(config.get("quick_gelu") or pretrained.get("quick_gelu"))
    visual = _visual(config, quick_gelu)
    side = config["vision_cfg"]["image_size"]
    embedding, width, stride = _look(visual, side)
    hub, _, file = pretrained.get("hf_hub", "").rpartition("/")
    preprocess = ("resize_mode", "interpolation", "mean", "std")
    return describe(
        f"open_clip/{short}",
        model,
        hub=hub,
        image_size=side,
        stride=stride,
        embedding=embedding,
        width=width,
        parameters=sum(p.numel() for p in visual.parameters()),
        depth=len(getattr(getattr(visual, "transformer", None), "resblocks", ())),
        quick_gelu=quick_gelu,
        license=next((v for k, v in LICENSES.items() if tag.startswith(k)), None),
        weights=_source(hub, file, pretrained.get("url", "")),
        tokenizer=_tokenizer(text),
        summary=f"open_clip {model}, {tag}",
        **{key: pretrained[key] for key in preprocess if pretrained.get(key)},
    )


def _tokenizer(text: dict[str, Any]) -> str | None:
    name = text.get("hf_tokenizer_name")
    return MOVED.get(name, name)


def _visual(config: dict[str, Any], quick_gelu: bool) -> nn.Module:
    import torch
    from open_clip.model import _build_vision_tower

    with torch.device("meta"):
        return _build_vision_tower(config["embed_dim"], config["vision_cfg"], quick_gelu).eval()


def _look(visual: Any, side: int) -> tuple[int, int, int]:
    """Channels of the embedding and of the tokens, and the tokens' stride."""
    import torch

    x = torch.empty(1, 3, side, side, device="meta")
    with torch.no_grad():
        out = visual.forward_intermediates(x, indices=1, normalize_intermediates=True)
    dense = out["image_intermediates"][-1]
    return out["image_features"].shape[1], dense.shape[1], side // dense.shape[2]


def _source(hub: str, file: str, url: str) -> dict[str, Any]:
    if hub:
        return {"source": f"hf:{hub}/{file or FILE}"}
    return {"source": f"torch:{url.rsplit('/', 1)[1]}", "fetch": "kivfm_teachers.fetch:from_url"}
