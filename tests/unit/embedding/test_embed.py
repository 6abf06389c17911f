"""A folder's features in a file of each kind, and what they are computed from."""

from __future__ import annotations

import json
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from toy_bundle import write_toy_bundle

import kivfm_core
from kivfm_core.composition.composition import Composition
from kivfm_core.embedding import embed as module
from kivfm_core.embedding.nearest import read_index
from kivfm_core.embedding.table import KINDS
from kivfm_core.errors import DataError, KivfmError, UsageError
from kivfm_core.files import only_writer
from kivfm_core.loaded import store
from kivfm_core.weights.fetch import file_sha256


@pytest.fixture
def bundle(composition: Composition, tmp_path: Path) -> Path:
    return write_toy_bundle(composition, tmp_path / "student")


def embed(model: Any, images: Any, out: Path, **more: Any) -> Any:
    return kivfm_core.embed(model, images, out, accelerator="cpu", **more)


def read_maps(file: Path, name: str, shape: list[int]) -> np.ndarray:
    """A map as a stranger's program reads it, with the file's own library."""
    if file.suffix == ".npz":
        with np.load(file, allow_pickle=False) as arrays:
            return arrays[name]
    if file.suffix == ".parquet":
        import pyarrow.parquet as pq

        rows = pq.read_table(file)[name].to_pylist()
        return np.array(rows, np.float32).reshape(-1, *shape)
    from safetensors.numpy import load_file

    return load_file(file)[name]


@pytest.mark.parametrize("end", KINDS)
def test_each_kind_holds_what_the_model_gives(bundle: Path, pictures: Path, tmp_path: Path, end):
    out = tmp_path / "new" / f"f{end}"
    done = embed(bundle, pictures, out, maps=["V"])
    content = read_index(out)
    files = sorted(pictures.rglob("*.png"), key=lambda f: f.relative_to(pictures).as_posix())
    assert content.names == [str(file) for file in files]  # not below the working folder
    found = kivfm_core.load(bundle, accelerator="cpu").features(files)
    torch.testing.assert_close(torch.from_numpy(content.vectors.copy()), found.vector)
    maps = read_maps(out, "V", done.manifest["maps"]["V"])
    torch.testing.assert_close(torch.from_numpy(maps.copy()), found.maps["V"])
    assert (done.images, done.broken) == (12, [])
    assert content.manifest == done.manifest == json.loads(json.dumps(done.as_dict()))["manifest"]
    assert content.manifest["sha256"] == file_sha256(bundle / "student.safetensors")
    assert content.manifest["level"] == "x" and content.manifest["canvas"]["size"] == 64
    assert content.manifest["channels"] == content.vectors.shape[1]
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_pandas_like_program_may_write_the_parquet_again(
    bundle: Path, pictures: Path, tmp_path: Path
):
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = tmp_path / "f.parquet"
    embed(bundle, pictures, out)
    table, meta = pq.read_table(out), pq.ParquetFile(out).metadata.metadata
    lists = pa.array(table["vector"].to_pylist(), pa.list_(pa.float32()))
    again = pa.table({"file": table["file"], "vector": lists, "note": ["x"] * len(table)})
    pq.write_table(again.replace_schema_metadata(meta), tmp_path / "g.parquet")
    assert read_index(tmp_path / "g.parquet").vectors.tolist() == read_index(out).vectors.tolist()


def test_broken_files_are_counted_and_named(bundle: Path, pictures: Path, tmp_path: Path):
    (pictures / "05.jpg").write_bytes(b"no image")
    (pictures / "more" / "zz.png").write_bytes(b"")
    done = embed(bundle, pictures, tmp_path / "f.npz")
    assert done.images == 12 and len(done.broken) == 2 and "05.jpg" in done.broken[0]
    assert read_index(tmp_path / "f.npz").manifest["broken"] == done.broken


def test_nothing_is_written_if_no_image_can_be_decoded(bundle: Path, tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match="none of 1 images"):
        embed(bundle, tmp_path / "a.jpg", tmp_path / "out" / "f.npz")
    assert not list((tmp_path / "out").iterdir())


def test_folders_patterns_and_files(
    bundle: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    given = ["pictures/more", "pictures/0[24].png", "pictures/**/*1.png", pictures / "00.png"]
    embed(bundle, given, Path("f.npz"))
    assert read_index(Path("f.npz")).names == [
        "pictures/00.png", "pictures/02.png", "pictures/04.png",
        *(f"pictures/more/{i:02d}.png" for i in range(1, 12, 2)),
    ]  # fmt: skip
    monkeypatch.chdir(pictures / "more")
    embed(bundle, pictures / "00.png", tmp_path / "f.npz")
    assert read_index(tmp_path / "f.npz").names == [str(pictures / "00.png")]


def test_a_teachers_levels_pooled(bundle: Path, pictures: Path, tmp_path: Path):
    done = embed(bundle, pictures, tmp_path / "f.npz", teacher="toypurpose", pool=2)
    assert done.manifest["teacher"] == "toypurpose/small"
    assert done.manifest["maps"] == {"fine": [24, 2, 2], "coarse": [40, 2, 2]}
    found = kivfm_core.load(bundle, accelerator="cpu").features(
        sorted(pictures.glob("*.png")), teacher="toypurpose"
    )
    fine = torch.from_numpy(read_maps(tmp_path / "f.npz", "fine", [24, 2, 2])[:6])
    torch.testing.assert_close(fine.mean((2, 3)), found.maps["fine"].mean((2, 3)))


def test_a_killed_embed_goes_on(bundle: Path, pictures: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(store, "PART_BYTES", 1)  # a part a batch
    monkeypatch.setattr("kivfm_core.data.batches.PIXELS", 4 * 64 * 64)
    embed(bundle, pictures, tmp_path / "whole.npz", maps=["V"])
    write, out = store.write_bytes, tmp_path / "f.npz"

    def write_two(path: Path, content: bytes) -> None:
        if len([*out.parent.glob(".f.npz.parts/*/part-*")]) == 2:
            raise KeyboardInterrupt
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_bytes", write_two)
        with pytest.raises(KeyboardInterrupt):
            embed(bundle, pictures, out, maps=["V"])
    assert not out.exists()
    kept = {part: part.stat().st_mtime_ns for part in tmp_path.glob(".f.npz.parts/*/part-*")}
    seen = list[Path]()
    monkeypatch.setattr(
        store, "write_bytes", lambda path, content: (seen.append(path), write(path, content))
    )
    embed(bundle, pictures, out, maps=["V"])
    assert len(kept) == 2 and len(seen) == 1 and not set(seen) & set(kept)
    assert out.read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert not [*tmp_path.glob(".f.npz*")]


def test_canvases_of_many_sizes(toys: dict[str, str], tmp_path: Path, monkeypatch):
    """Vectors and pooled maps go together; whole maps do not."""
    contract = {"policy": "short-side", "size": 32, "multiple": 16}
    real = module.viewpoint

    def short(model: Any, teacher: str | None) -> Any:
        seen = real(model, teacher)
        seen.encoder.spec = seen.encoder.spec.model_copy(
            update={"input": seen.encoder.spec.input.model_copy(update=contract)}
        )
        return seen

    monkeypatch.setattr(module, "viewpoint", short)
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(70):
        Image.new("RGB", (32 + 16 * (i % 23), 32), (i, 0, 0)).save(folder / f"{i:02d}.png")
    more = {"weights": toys["toypurpose/small"]}
    done = embed("toypurpose", folder, tmp_path / "f.npz", pool=1, maps=["coarse"], **more)
    content = read_index(tmp_path / "f.npz")
    assert done.images == len({*content.names}) == 70
    maps = read_maps(tmp_path / "f.npz", "coarse", [40, 1, 1])[:, :, 0, 0]
    np.testing.assert_allclose(maps, content.vectors, atol=1e-4)
    with pytest.raises(UsageError, match="canvases differ in size"):
        embed("toypurpose", folder, tmp_path / "g.npz", maps=["fine"], **more)
    assert not (tmp_path / "g.npz").exists()


def test_what_cannot_be_is_refused_before_anything_runs(bundle: Path, pictures: Path, tmp_path):
    with pytest.raises(UsageError, match=r"does not end in one of \.parquet, \.npz"):
        embed(bundle, pictures, tmp_path / "f.csv")
    with pytest.raises(UsageError, match="has no map 'Q'"):
        embed(bundle, pictures, tmp_path / "f.npz", maps=["Q"])
    assert not (tmp_path / "f.npz").exists()


def test_the_extra_is_named_where_it_is_missing(bundle, pictures, tmp_path, monkeypatch):
    real = util.find_spec
    monkeypatch.setattr(
        "kivfm_core.embedding.table.find_spec",
        lambda name: None if name == "pyarrow" else real(name),
    )
    with pytest.raises(KivfmError, match="pyarrow is not installed") as error:
        embed(bundle, pictures, tmp_path / "f.parquet")
    assert error.value.hint == "pip install 'kivfm[parquet]'"


def test_rows_are_written_as_they_come(bundle: Path, pictures: Path, tmp_path: Path, monkeypatch):
    """What waits in memory does not grow with the number of images."""
    import pyarrow.parquet as pq

    from kivfm_core.embedding import parquet

    monkeypatch.setattr(parquet, "GROUP", 4 * 48 * 30)  # 30 vectors
    for i in range(60):
        (pictures / f"x{i}.png").hardlink_to(pictures / "00.png")
    assert embed(bundle, pictures, tmp_path / "f.parquet").images == 72
    assert pq.ParquetFile(tmp_path / "f.parquet").metadata.num_row_groups == 3


def test_what_is_no_file_of_features_is_not_overwritten(
    bundle: Path, pictures: Path, tmp_path: Path
) -> None:
    weights = bundle / "student.safetensors"
    before = weights.read_bytes()
    with pytest.raises(UsageError, match="is there already, and holds no features"):
        embed(bundle, pictures, weights)
    assert weights.read_bytes() == before


def test_two_at_once_do_not_take_each_others_features(bundle: Path, pictures: Path, tmp_path: Path):
    kept = tmp_path / ".f.npz.parts"
    with only_writer(kept, ""):
        (kept / "part").write_text("of the other one")
        with pytest.raises(UsageError, match=r"another process is writing to .*f\.npz\.parts"):
            embed(bundle, pictures, tmp_path / "f.npz")
        assert (kept / "part").exists() and not (tmp_path / "f.npz").exists()
    assert embed(bundle, pictures, tmp_path / "f.npz").images == 12 and not kept.exists()
