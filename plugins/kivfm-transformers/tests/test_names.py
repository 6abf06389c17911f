"""Names become teachers, or errors that say what to do; the encoder stands apart."""

import json
import shutil
import subprocess
import sys
from hashlib import sha256
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
import transformers as hf
from huggingface_hub.constants import ENDPOINT
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError
from safetensors.torch import load_file

from kivfm_core.errors import UsageError, WeightsError
from kivfm_core.registry.registry import get_registry
from kivfm_core.teacher import Decoders, load_teacher
from kivfm_core.weights.hub import UNGATED
from kivfm_transformers import repository
from kivfm_transformers.contract import input_contract
from kivfm_transformers.families import FAMILIES
from kivfm_transformers.plugin import NAMES

NAME = "transformers/org/tiny"


def tiny():
    config = hf.SegformerConfig(
        hidden_sizes=[8, 16, 24, 32],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        num_labels=5,
    )
    processor = hf.SegformerImageProcessor(size={"height": 64, "width": 64})
    return hf.SegformerForSemanticSegmentation(config), processor


def test_plugin_is_light():
    code = """
import kivfm_transformers.plugin, sys
assert not {'torch', 'transformers', 'huggingface_hub'} & {*sys.modules}
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_folder_is_found_from_here_and_from_the_root(publish, folder):
    teacher = publish(*tiny())
    assert teacher.spec.name == NAME
    assert teacher.provenance.keys == len(load_file(folder / "model.safetensors"))
    assert get_registry().resolve(f"transformers/{folder}").levels == teacher.spec.levels


def test_a_folder_above_is_known_by_its_whole_path(publish, folder, tmp_path, monkeypatch):
    publish(*tiny())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    spec = get_registry().resolve("transformers/../org/tiny")
    assert spec.name == f"transformers{folder}"
    assert get_registry().resolve(spec.name) == spec


def test_a_folder_that_no_teacher_can_be_named_by_needs_a_link(publish, folder, tmp_path):
    publish(*tiny())
    spaced = folder.rename(tmp_path / "my model")
    with pytest.raises(UsageError, match="my model") as caught:
        get_registry().resolve("transformers/my model")
    command, _, then = caught.value.hint.partition(", and select ")
    subprocess.run(command, shell=True, check=True)
    assert get_registry().resolve(then).weights.source == f"run:{tmp_path}/model/model.safetensors"
    assert spaced.is_dir()


@pytest.mark.parametrize("name", ["../none", "none such/here", "none"])
def test_what_is_neither_folder_nor_hub_id_is_refused(name):
    with pytest.raises(UsageError, match="neither a folder nor a hub id"):
        get_registry().resolve(f"transformers/{name}")


def test_a_changed_folder_is_another_teacher(publish, folder):
    publish(*tiny())
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "image_mean": [0.1, 0.2, 0.3]}))
    assert get_registry().resolve(NAME).input.mean == (0.1, 0.2, 0.3)


def test_encoder_and_decoder_are_disjoint_and_whole(publish):
    original, processor = tiny()
    teacher = publish(original, processor)
    decoder = Decoders(teacher.spec).parts["semantic_segmentation"].state_dict()
    encoder = teacher.encoder.state_dict()
    assert decoder and not decoder.keys() & encoder.keys()
    assert decoder.keys() | encoder.keys() == {f"model.{key}" for key in original.state_dict()}


def test_a_decoder_takes_no_memory_for_the_encoder(publish, monkeypatch):
    spec = publish(*tiny()).spec
    made = []
    real = torch.nn.Module.to_empty

    def to_empty(module, **kwargs):
        made.append(module)
        return real(module, **kwargs)

    monkeypatch.setattr(torch.nn.Module, "to_empty", to_empty)
    Decoders(spec)
    kinds = {type(module).__name__ for module in made}
    assert "SegformerDecodeHead" in kinds
    assert "SegformerModel" not in kinds


def test_other_architectures_are_refused_naming_those_that_are_not(publish, folder, monkeypatch):
    publish(*tiny())
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "architectures": ["BertModel"]}))
    with pytest.raises(UsageError, match="BertModel") as caught:
        get_registry().resolve(NAME)
    assert all(name in caught.value.hint for name in FAMILIES)


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_file_is_named(file, publish, folder):
    publish(*tiny())
    (folder / file).unlink()
    with pytest.raises(UsageError, match=file):
        get_registry().resolve(NAME)


def test_weights_of_another_size_are_refused(publish, tmp_path):
    publish(*tiny())
    config = tiny()[0].config
    config.hidden_sizes = [8, 16, 24, 48]
    hf.SegformerForSemanticSegmentation(config).save_pretrained(tmp_path / "other")
    with pytest.raises(WeightsError, match="mismatched keys"):
        load_teacher(NAME, tmp_path / "other" / "model.safetensors")


@pytest.fixture
def hub(publish, folder, tmp_path, monkeypatch):
    """A hub that has the tiny model, whose cache is empty."""
    publish(*tiny())
    (folder / "README.md").write_text("---\nlicense: other\nlicense_name: mine\n---\n")
    home = tmp_path / "hub/models--org--tiny"
    lfs = SimpleNamespace(sha256="0" * 64)
    info = SimpleNamespace(
        sha="f" * 40,
        gated="manual",
        siblings=[SimpleNamespace(rfilename="model.safetensors", size=77, lfs=lfs)],
    )

    def download(_name, file, *, revision, **_kwargs):
        if not (folder / file).is_file():
            raise EntryNotFoundError(file)
        target = home / "snapshots" / revision / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / file, target)
        return target

    monkeypatch.setattr(repository.HfApi, "model_info", lambda *_a, **_k: info)
    monkeypatch.setattr(repository, "hf_hub_download", download)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return home / "snapshots" / info.sha


def keep_blob(hub, folder, file="model.safetensors"):
    """Puts the weights into the hub's cache as its library does: a link to what its hash names."""
    content = (folder / "model.safetensors").read_bytes()
    blob = hub.parents[1] / "blobs" / sha256(content).hexdigest()
    blob.parent.mkdir()
    blob.write_bytes(content)
    (hub / file).symlink_to(blob)
    return blob.name


def cut(monkeypatch):
    """Makes the hub unreachable."""

    def fail(*_args, **_kwargs):
        raise ConnectionError("no network")

    monkeypatch.setattr(repository.HfApi, "model_info", fail)
    monkeypatch.setattr(repository, "hf_hub_download", fail)


def test_the_hub_says_license_gate_and_hash(hub, folder):
    spec = get_registry().resolve(NAME)
    assert spec.weights.source == "hf:org/tiny/model.safetensors"
    assert (spec.weights.license, spec.weights.gated, spec.weights.bytes) == ("mine", True, 77)
    assert spec.weights.sha256 == "0" * 64
    assert spec.levels == get_registry().resolve(f"transformers/{folder}").levels


def test_a_gated_model_names_the_page_for_access(hub, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise GatedRepoError("gated", response=Mock())

    monkeypatch.setattr(repository, "hf_hub_download", refuse)
    with pytest.raises(WeightsError, match="gated") as caught:
        get_registry().resolve(NAME)
    assert f"ask for access at {ENDPOINT}/org/tiny, then" in caught.value.hint
    assert " or take" not in caught.value.hint


@pytest.mark.parametrize(
    ("gated", "other"),
    [
        ("facebook/dinov3-vits16-pretrain-lvd1689m", "dinov3/vit-s-16"),
        ("facebook/dinov3-vith16plus-pretrain-lvd1689m", "dinov3/vit-b-16"),
        ("facebook/dinov3-convnext-tiny-pretrain-lvd1689m", "dinov3/convnext-tiny"),
        ("facebook/sam3", "sam2"),
    ],
)
def test_a_gated_model_names_one_that_is_not(hub, monkeypatch, gated, other):
    def refuse(*_args, **_kwargs):
        raise GatedRepoError("gated", response=Mock())

    monkeypatch.setattr(repository, "hf_hub_download", refuse)
    with pytest.raises(WeightsError, match="gated") as caught:
        get_registry().resolve(f"transformers/{gated}")
    assert caught.value.hint.endswith(f"or take {other}, which wants no agreement")
    assert get_registry().knows(other)


def test_all_that_is_named_in_place_of_gated_ones_is_a_teacher_without_a_gate():
    for name in UNGATED.values():
        if name not in NAMES:
            assert not get_registry().resolve(name).weights.gated


def test_an_unreachable_hub_is_one_error(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for variable in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(WeightsError, match="facebook/none-such") as caught:
        get_registry().resolve("transformers/facebook/none-such")
    assert "kivfm teachers fetch transformers/facebook/none-such" in caught.value.hint


@pytest.mark.parametrize("offline", ["0", "1"])
@pytest.mark.parametrize("file", repository.FILES)
def test_without_the_hub_its_cache_will_do(file, offline, hub, folder, monkeypatch):
    """Offline or unreachable: license and hash are known all the same."""
    online = get_registry().resolve(NAME)
    known = keep_blob(hub, folder, file)
    cut(monkeypatch)
    monkeypatch.setenv("KIVFM_OFFLINE", offline)
    spec = get_registry().resolve(NAME)
    assert spec.weights.source == f"hf:org/tiny/{file}"
    assert (spec.weights.license, spec.weights.sha256) == ("mine", known)
    assert spec.model_copy(update={"weights": online.weights}) == online
    if file == "model.safetensors":
        assert load_teacher(spec).provenance.sha256 == known


@pytest.mark.parametrize("known", [False, True])
def test_offline_without_the_files_says_how_to_get_them(known, hub, monkeypatch):
    if known:
        get_registry().resolve(NAME)
        (hub / "preprocessor_config.json").unlink()
    monkeypatch.setenv("KIVFM_OFFLINE", "1")
    with pytest.raises(UsageError, match="preprocessor_config.json" if known else "cache") as got:
        get_registry().resolve(NAME)
    assert got.value.hint.startswith(f"kivfm teachers fetch {NAME}")


def test_a_filter_that_the_core_has_not_is_refused():
    processor = {"size": 32, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 4}
    with pytest.raises(UsageError, match="filter 4"):
        input_contract(processor, multiple=8)


@pytest.mark.parametrize("name", NAMES)
def test_a_short_name_is_a_model_on_the_hub(name, publish, folder, tmp_path, monkeypatch):
    publish(*tiny())
    home = tmp_path / "hub" / f"models--{NAMES[name].replace('/', '--')}"
    shutil.copytree(folder, home / "snapshots" / "main")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("KIVFM_OFFLINE", "1")
    spec = get_registry().resolve(name)
    assert (spec.name, spec.aliases) == (f"transformers/{NAMES[name]}", (name,))
    assert spec.weights.source == f"hf:{NAMES[name]}/model.safetensors"
    assert load_teacher(name).spec == spec
    assert get_registry().origin(spec).provider.names == NAMES


def test_a_short_name_that_is_not_here_says_what_it_stands_for(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("KIVFM_OFFLINE", "1")
    with pytest.raises(UsageError, match=NAMES["depth"]):
        get_registry().resolve("depth")
