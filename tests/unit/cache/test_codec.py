"""Encodings: accuracy, size, and the same outputs from memory and disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cached import STEPS, Asked, batches, same, stream, with_cache

from kivfm_core.cache.codec import Codec
from kivfm_core.cache.disk import DiskCache
from kivfm_core.cache.encoding import Encoding
from kivfm_core.cache.key import StoreKey
from kivfm_core.cache.memory import MemoryCache
from kivfm_core.composition.compose import compose
from kivfm_core.config import RunConfig, build_config
from kivfm_core.distillation.cache_build.build import build
from kivfm_core.errors import DataError, UsageError
from kivfm_core.planner.networks import list_networks
from kivfm_core.progress import Silent

CPU = torch.device("cpu")
PURPOSE = "toypurpose/small"
ENCODINGS = ("int8", "latent-bf16", "latent-int8")


def levels(seed: int = 0) -> dict[str, torch.Tensor]:
    """Outputs of large magnitude and odd sizes, in a memory layout that no cache has."""
    torch.manual_seed(seed)
    dense = torch.randn(4, 3, 6, 5) * torch.tensor([1e4, 1.0, 1e-3, 1.0, 30.0, 1.0]).view(6, 1)
    return {"a": torch.randn(4, 5) * 1e4, "b": dense.permute(0, 2, 3, 1), "c": torch.randn(4, 1)}


def fitted(encoding: Encoding, outputs: dict[str, torch.Tensor]) -> Codec:
    codec = Codec(encoding, CPU)
    codec.maps = codec.fit([outputs])
    return codec


def layout(outputs: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape[1:]) for name, tensor in outputs.items()}


def there_and_back(encoding: Encoding, outputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    codec = fitted(encoding, outputs)
    records = codec.encode(outputs)
    assert records.shape[1] == sum(encoding.bytes(*part) for part in layout(outputs).items())
    back = codec.decode(list(records), layout(outputs))
    assert all(tensor.is_contiguous() and tensor.dtype == torch.float32 for tensor in back.values())
    return back


def test_bfloat16_rounds_and_nothing_else():
    outputs = levels()
    back = there_and_back(Encoding(), outputs)
    assert all(torch.equal(back[name], outputs[name].bfloat16().float()) for name in outputs)


@pytest.mark.parametrize("encoding", [Encoding(), Encoding("int8")])
def test_a_batch_of_records_is_read_as_single_ones_are(encoding: Encoding):
    outputs = levels()
    codec = fitted(encoding, outputs)
    records = codec.encode(outputs)
    one, other = (codec.decode(r, layout(outputs)) for r in (records, list(records)))
    assert all(torch.equal(one[name], other[name]) for name in outputs)
    assert all(tensor.is_contiguous() for tensor in one.values())


def test_stored_records_are_read_onto_any_device():
    outputs = levels()
    records = list(fitted(Encoding(), outputs).encode(outputs))
    there = Codec(Encoding(), torch.device("meta")).decode(records, layout(outputs))
    assert {tensor.device.type for tensor in there.values()} == {"meta"}
    assert {name: tensor.shape for name, tensor in there.items()} == {
        name: tensor.shape for name, tensor in outputs.items()
    }


def test_integers_are_off_by_half_a_step_of_their_channel():
    outputs = levels()
    back = there_and_back(Encoding("int8"), outputs)
    off = (back["b"] - outputs["b"]).flatten(2).abs().amax(2)
    # Half a step, and a scale in bfloat16.
    assert (off <= outputs["b"].flatten(2).abs().amax(2) * (0.5 / 127 + 2**-8)).all()
    assert torch.equal(back["a"], outputs["a"].bfloat16().float())
    assert there_and_back(Encoding("int8"), {"b": torch.zeros(2, 3, 2, 2)})["b"].eq(0).all()


def test_whole_numbers_are_stored_exactly():
    canvas = torch.arange(256).float().view(1, 1, 16, 16)[..., :15, :15]
    assert torch.equal(there_and_back(Encoding("uint8"), {"c": canvas})["c"], canvas)


@pytest.mark.parametrize(("dtype", "off"), [("bfloat16", 2**-7), ("int8", 2**-6)])
def test_what_lies_in_the_shared_latent_comes_back(dtype, off: float):
    torch.manual_seed(0)
    flat = torch.randn(4, 8, 8, 2) @ torch.randn(2, 6) + torch.arange(6.0)
    outputs = {"flat": flat.permute(0, 3, 1, 2), "g": torch.randn(4, 6)}
    back = there_and_back(Encoding(dtype, {"flat": 2}), outputs)
    assert (back["flat"] - outputs["flat"]).abs().max() < off * outputs["flat"].abs().max()
    assert torch.equal(back["g"], outputs["g"].bfloat16().float())


@pytest.mark.parametrize("encoding", [Encoding(), Encoding("int8"), Encoding("int8", {"b": 2})])
def test_memory_and_disk_give_back_the_same(tmp_path: Path, encoding: Encoding):
    outputs = levels()
    codec = fitted(encoding, outputs)
    key = StoreKey("toy", {**encoding.facts, "pictures": {"number": 9}})
    places, found = [(4, 0), (1, 1), (2, 0), (8, 1)], []
    for cache in (MemoryCache(2**20), DiskCache(tmp_path, {"toy": key})):
        cache.put("toy", places, codec.encode(outputs), layout(outputs))
        records = cache.get("toy", [places[i] for i in (2, 0, 1)])
        assert records is not None and cache.get("toy", [(0, 0)]) is None
        found.append(codec.decode(records, cache.layouts["toy"]))
    assert same([found[0]], [found[1]])
    whole = codec.decode(list(codec.encode(outputs)), layout(outputs))
    assert all(torch.equal(found[0][name], whole[name][[2, 0, 1]]) for name in outputs)


def narrow(config: RunConfig, path: Path | None, encoding: str, **more) -> RunConfig:
    made = with_cache(config, path, encoding=encoding, **more)
    return made.model_copy(update={"student": made.student.model_copy(update={"latent": 8})})


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_view_has_the_same_outputs_wherever_they_are_cached(
    config: RunConfig, tmp_path: Path, asked: Asked, encoding: str
):
    memory = batches(narrow(config, None, encoding))
    fit = 12 if encoding.startswith("latent") else 0
    assert asked.since()["teacher"] == 24 + fit
    disk = narrow(config, tmp_path / "cache", encoding)
    assert same(memory, batches(disk))
    assert asked.since()["teacher"] == 24 + fit
    assert same(memory, batches(disk))
    assert asked.since() == {"decoded": 0, "trunk": 0, "teacher": 0}
    # Where nothing fits, all networks are run, and the outputs are the same.
    online = stream(narrow(config, None, encoding))
    online.frozen.cached.online = tuple(online.frozen.cached.codecs)
    fresh = [{"canvas": canvas, **targets.named()} for canvas, targets, _ in online.steps(0, STEPS)]
    assert same(memory, fresh)
    # Canvas and trunk do not depend on the encoding; the teacher's levels do.
    plain = batches(with_cache(config, None))
    differ = {
        k for a, b in zip(memory, plain, strict=True) for k in a if not torch.equal(a[k], b[k])
    }
    assert differ == {f"{PURPOSE}:fine", f"{PURPOSE}:coarse"}


def test_bad_images_count_where_maps_are_fitted_on_them(config: RunConfig, pictures: Path):
    bad = {"05-empty.png", "11-empty.png"}
    for name in bad:
        (pictures / name).write_bytes(b"")
    config = narrow(config, None, "latent-bf16")
    data = config.data.model_copy(update={"bad_limit": 1})
    strict = stream(config.model_copy(update={"data": data}))
    assert bad.isdisjoint(strict.image_names(0))
    with pytest.raises(DataError, match="2 images cannot be decoded"):
        next(strict.steps(0, 1))
    patient = stream(config)
    next(patient.steps(0, 1))
    assert patient.count_bad() == 2


@pytest.mark.parametrize("encoding", ("bf16", *ENCODINGS))
def test_sizes_are_predicted_to_the_byte(config: RunConfig, tmp_path: Path, encoding: str):
    made = narrow(config, tmp_path / "cache", encoding)
    told = {network.name: network.bytes for network in list_networks(made, compose(made))}
    shares = build(made, Silent())
    stores = stream(made).cache.stores
    assert {name: store.bytes for name, store in stores.items()} == told
    records = sum(f.stat().st_size for f in (tmp_path / "cache").glob("*/records-*.bin"))
    assert records == sum(share.bytes for share in shares) == 24 * sum(told.values())


def test_an_encoding_has_a_store_of_its_own(config: RunConfig, tmp_path: Path):
    cache = tmp_path / "cache"
    for encoding in ("bf16", *ENCODINGS):
        batches(narrow(config, cache, encoding))
    assert len(list(cache.glob("toypurpose*"))) == 4
    assert len(list(cache.glob("trunk*"))) == len(list(cache.glob("canvas*"))) == 1


def test_damaged_maps_are_fitted_again(config: RunConfig, tmp_path: Path, asked: Asked):
    disk = narrow(config, tmp_path / "cache", "latent-int8")
    truth = batches(disk)
    [file] = (tmp_path / "cache").glob("toypurpose*/maps-*")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 16
    file.write_bytes(content)
    asked.since()
    assert same(truth, batches(disk))
    # The same maps, as they follow from the seed: the records are good.
    assert asked.since() == {"decoded": 12, "trunk": 0, "teacher": 12}
    assert file.read_bytes() != bytes(content)


def test_records_of_other_maps_are_not_used(config: RunConfig, tmp_path: Path, asked: Asked):
    disk = narrow(config, tmp_path / "cache", "latent-bf16")
    truth = batches(disk)
    [folder] = (tmp_path / "cache").glob("toypurpose*")
    for file in folder.glob("maps-*"):
        file.unlink()
    other = DiskCache(tmp_path / "cache", stream(disk).cache.keys)
    codec = Codec(other.keys[PURPOSE].encoding, CPU)
    torch.manual_seed(0)
    rough = {"fine": torch.randn(2, 24, 4, 4), "coarse": torch.randn(2, 40, 4, 4)}
    maps = other.maps(PURPOSE, lambda: codec.fit([rough]))
    assert other.get(PURPOSE, [(0, 0)]) is None and set(maps) == {"fine", "coarse"}
    asked.since()
    assert not same(truth, batches(disk))
    assert asked.since()["teacher"] == 24


def test_an_encoding_without_stored_views_is_refused():
    with pytest.raises(UsageError, match="no views are stored"):
        build_config(None, {"teachers": "a", "cache.encoding": "int8"})
