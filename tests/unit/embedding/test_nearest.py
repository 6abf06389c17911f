"""Search in a file of features; the file may be a stranger's."""

from __future__ import annotations

import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from toy_bundle import write_toy_bundle

import kivfm_core
from kivfm_core.composition.composition import Composition
from kivfm_core.embedding.nearest import best, read_index, similarities
from kivfm_core.embedding.table import KINDS, file_kind
from kivfm_core.errors import DataError, UsageError

VECTORS = np.eye(4, 6, dtype=np.float32)


def write(file: Path, vectors: Any = VECTORS, **manifest: Any) -> Path:
    known = {"schema": 1, "sha256": "0", "teacher": None, "level": "x", "channels": 6}
    with file.open("w+b") as opened:
        writer = file_kind(file).writer(opened, file.parent)
        writer.write([f"{i}.jpg" for i in range(len(vectors))], {"vector": vectors})
        writer.finish(known | manifest)
        writer.close()
    return file


@pytest.fixture
def bundle(composition: Composition, tmp_path: Path) -> Path:
    return write_toy_bundle(composition, tmp_path / "student")


def test_the_nearest_come_first(bundle: Path, pictures: Path, tmp_path: Path):
    out = tmp_path / "f.npz"
    kivfm_core.embed(bundle, pictures, out, accelerator="cpu")
    query = pictures / "04.png"
    hits = kivfm_core.nearest(bundle, out, query, k=5, accelerator="cpu")
    assert hits[0].file == str(query) and hits[0].score == pytest.approx(1, abs=1e-5)
    scores = [hit.score for hit in hits]
    assert len(hits) == 5 and scores == sorted(scores, reverse=True)
    assert len(kivfm_core.nearest(bundle, out, query, k=99, accelerator="cpu")) == 12


def test_a_query_is_seen_as_the_index_was(bundle: Path, pictures: Path, tmp_path: Path):
    out = tmp_path / "f.npz"
    kivfm_core.embed(bundle, pictures, out, teacher="toypurpose", accelerator="cpu")
    hits = kivfm_core.nearest(bundle, out, pictures / "04.png", k=1, accelerator="cpu")
    assert hits[0].score == pytest.approx(1, abs=1e-5)


def test_another_models_file_is_refused(
    bundle: Path, composition: Composition, pictures: Path, tmp_path: Path
):
    other = write_toy_bundle(composition, tmp_path / "other", seed=1)
    kivfm_core.embed(other, pictures, tmp_path / "f.npz", accelerator="cpu")
    with pytest.raises(UsageError, match="was not made by"):
        kivfm_core.nearest(bundle, tmp_path / "f.npz", pictures / "00.png", accelerator="cpu")


def test_a_text_needs_a_text_image_teachers_vectors(bundle: Path, pictures: Path, tmp_path: Path):
    kivfm_core.embed(bundle, pictures, tmp_path / "f.npz", accelerator="cpu")
    with pytest.raises(UsageError, match="cannot be compared with a text"):
        kivfm_core.nearest(bundle, tmp_path / "f.npz", "a cat", accelerator="cpu")
    with pytest.raises(UsageError, match="nothing to search for"):
        kivfm_core.nearest(bundle, tmp_path / "f.npz", " ", accelerator="cpu")
    with pytest.raises(UsageError, match=r"there is no cat\.jpg"):
        kivfm_core.nearest(bundle, tmp_path / "f.npz", "cat.jpg", accelerator="cpu")


@pytest.mark.parametrize("text", ["a ring and " * 100, "a\0ring"])
def test_a_text_that_can_be_no_path_is_a_text(
    bundle: Path, pictures: Path, tmp_path: Path, text: str
):
    out = tmp_path / "f.npz"
    kivfm_core.embed(bundle, pictures, out, accelerator="cpu")
    with pytest.raises(UsageError, match="cannot be compared with a text"):
        kivfm_core.nearest(bundle, out, text, accelerator="cpu")


def test_a_text_finds_what_the_zero_shot_decoder_prefers(tmp_path: Path):
    """clip/nano, whose weights are in its package."""
    rng = np.random.default_rng(0)
    for i in range(6):
        pixels = rng.integers(0, 255, (3, 3, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((96, 96)).save(tmp_path / f"{i}.png")
    out = tmp_path / "f.parquet"
    kivfm_core.embed("clip/nano", str(tmp_path / "*.png"), out, accelerator="cpu")
    hits = kivfm_core.nearest("clip/nano", out, "a red disc", k=6, accelerator="cpu")
    model = kivfm_core.load_teacher("clip/nano")
    loaded = kivfm_core.load("clip/nano", accelerator="cpu")
    canvases, frames = loaded.preprocess([hit.file for hit in hits])
    prompt = model.prompt("zero-shot", labels=["a red disc"])
    logits = model.decode("zero-shot", model.encode(canvases, frames), prompt).logits[:, 0]
    torch.testing.assert_close(torch.tensor([hit.score for hit in hits]), logits, rtol=1e-4, atol=0)


def test_similarities():
    rows = np.array([[3, 0], [0, 2], [-1, 0], [0, 0]], np.float32)
    assert similarities(rows, np.array([5, 0], np.float32)).tolist() == [1, 0, -1, 0]
    assert best(np.array([0.1, 0.9, 0.9, 0.5]), 3).tolist()[2] == 3


def test_a_hundred_thousand_vectors_take_less_than_a_second():
    rows = np.random.default_rng(0).standard_normal((100_000, 256), np.float32)
    start = time.perf_counter()
    order = best(similarities(rows, rows[4711]), 10)
    assert time.perf_counter() - start < 1 and order[0] == 4711


# Files from strangers


@pytest.mark.parametrize("end", KINDS)
def test_a_file_that_holds_no_features_is_named(tmp_path: Path, end: str):
    whole = write(tmp_path / f"whole{end}").read_bytes()
    assert read_index(tmp_path / f"whole{end}").vectors.tolist() == VECTORS.tolist()
    rng = np.random.default_rng(0)
    cuts = [whole[:n] for n in (0, 3, 9, len(whole) // 2, len(whole) - 1)]
    for content in (*cuts, b"\xff" * 99, rng.bytes(999)):
        (tmp_path / f"f{end}").write_bytes(content)
        with pytest.raises(DataError, match=rf"f\{end} holds no features"):
            read_index(tmp_path / f"f{end}")


@pytest.mark.parametrize("end", KINDS)
def test_what_does_not_fit_is_refused(tmp_path: Path, end: str):
    file = tmp_path / f"f{end}"
    for wrong in ({"schema": 2}, {"sha256": 7}, {"teacher": []}, {"level": None}):
        with pytest.raises(DataError, match="holds no features"):
            read_index(write(file, **wrong))
    with pytest.raises(DataError, match="holds no features"):
        read_index(write(file, channels=5, vectors=np.zeros((7, 6), np.float32)[:, None]))


def test_no_memory_is_taken_that_the_file_does_not_justify(tmp_path: Path):
    names, text = np.array(["a"]), np.array(json.dumps({"schema": 1}))
    head = io.BytesIO()
    shape = {"descr": "<f4", "fortran_order": False, "shape": (2**40, 6)}
    np.lib.format.write_array_header_1_0(head, shape)
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "f.npz", "w", compression) as archive:
            for name, array in (("file", names), ("kivfm", text)):
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, array)
            archive.writestr("vector.npy", head.getvalue())
        with pytest.raises(DataError, match="holds no features"):
            read_index(tmp_path / "f.npz")


def test_nothing_in_an_archive_is_executed(tmp_path: Path):
    class Boom:
        def __reduce__(self):
            return (Path(tmp_path / "boom").touch, ())

    write(tmp_path / "g.npz")
    whole = zipfile.ZipFile(tmp_path / "g.npz")
    with zipfile.ZipFile(tmp_path / "f.npz", "w") as archive:
        for name in whole.namelist():
            with archive.open(name, "w") as member:
                if name == "file.npy":
                    np.lib.format.write_array(member, np.array([Boom()] * 4, object))
                else:
                    member.write(whole.read(name))
    with pytest.raises(DataError, match="holds no features"):
        read_index(tmp_path / "f.npz")
    assert not (tmp_path / "boom").exists()


def test_a_parquet_that_promises_too_much(tmp_path: Path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    one = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(200_000 * 64, np.float32)), 64)
    table = pa.table({"file": ["a"] * 200_000, "vector": one})
    known = {"schema": 1, "sha256": "0", "teacher": None, "level": "x", "channels": 64}
    table = table.replace_schema_metadata({"kivfm": json.dumps(known)})
    pq.write_table(table, tmp_path / "f.parquet", compression="zstd")
    with pytest.raises(DataError, match="promises more"):
        read_index(tmp_path / "f.parquet")


def test_a_parquet_of_many_groups_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import pyarrow.parquet as pq

    monkeypatch.setattr("kivfm_core.embedding.parquet.GROUP", 3 * 6 * 4)
    vectors = np.arange(60, dtype=np.float32).reshape(10, 6)
    file = write(tmp_path / "f.parquet", vectors)
    assert pq.ParquetFile(file).num_row_groups == 4
    content = read_index(file)
    assert np.array_equal(content.vectors, vectors)
    assert content.names == [f"{i}.jpg" for i in range(10)]


def test_a_parquet_that_another_program_wrote_again(tmp_path: Path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = write(tmp_path / "f.parquet")
    about = pq.ParquetFile(file).metadata.metadata
    table = pq.read_table(file).replace_schema_metadata({"kivfm": about[b"kivfm"]})
    lists = table.set_column(1, "vector", pa.array(VECTORS.tolist(), pa.list_(pa.float32())))
    pq.write_table(lists, tmp_path / "f.parquet", compression="zstd")
    assert np.array_equal(read_index(tmp_path / "f.parquet").vectors, VECTORS)
    wide = table.set_column(1, "vector", pa.array(VECTORS.tolist(), pa.list_(pa.float64())))
    pq.write_table(wide, tmp_path / "f.parquet")
    with pytest.raises(DataError, match="no float32"):
        read_index(tmp_path / "f.parquet")


def test_faiss_finds_the_same():
    """As the how-to fills its index: an exact one, of unit vectors."""
    faiss = pytest.importorskip("faiss")
    vectors = np.random.default_rng(0).standard_normal((500, 16), dtype=np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    index = faiss.IndexFlatIP(16)
    index.add(unit)
    scores, places = index.search(unit[:20], 7)
    for query in range(20):
        own = similarities(vectors, vectors[query])
        assert places[query].tolist() == best(own, 7).tolist()
        assert scores[query] == pytest.approx(own[places[query]], abs=1e-6)
