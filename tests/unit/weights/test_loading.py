"""Weights from strangers: what does not fit is refused, naming the tensor."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from kivfm_core.errors import WeightsError
from kivfm_core.weights.loading import load_strict, read_state


def state(**changes: Tensor) -> dict[str, Tensor]:
    return {"weight": torch.ones(2, 3), "bias": torch.zeros(2), **changes}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_precision_is_taken(dtype: torch.dtype):
    linear = nn.Linear(3, 2)
    assert load_strict(linear, {k: v.to(dtype) for k, v in state().items()}, "it") == 2
    assert linear.weight.dtype == torch.float32 and bool((linear.weight == 1).all())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (torch.ones(2, 3, dtype=torch.int64), r"weight: torch\.int64 instead of torch\.float32"),
        (torch.ones(2, 3, dtype=torch.bool), r"weight: torch\.bool instead"),
        (torch.ones(2, 3, dtype=torch.complex64), r"weight: torch\.complex64 instead"),
        (torch.full((2, 3), torch.nan), "weight: not a number in it"),
        (torch.ones(3, 2), r"weight: \(3, 2\) instead of \(2, 3\)"),
    ],
    ids=["int", "bool", "complex", "nan", "shape"],
)
def test_what_does_not_fit_is_named_and_leaves_the_module_as_it_was(wrong: Tensor, message: str):
    linear = nn.Linear(3, 2)
    before = {k: v.clone() for k, v in linear.state_dict().items()}
    with pytest.raises(WeightsError, match=message):
        load_strict(linear, state(weight=wrong), "it")
    assert all(torch.equal(v, before[k]) for k, v in linear.state_dict().items())


def test_a_counter_stays_a_whole_number():
    norm = nn.BatchNorm1d(2)
    wrong = norm.state_dict() | {"num_batches_tracked": torch.tensor(1.5)}
    with pytest.raises(WeightsError, match="num_batches_tracked"):
        load_strict(norm, wrong, "it")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "student.safetensors")
    with pytest.raises(WeightsError, match="no weights file"):
        read_state(tmp_path / "student.safetensors")


@pytest.mark.parametrize("cut", [0, 4, 8, 60])
def test_a_torn_file_says_so(tmp_path: Path, cut: int):
    save_file(state(), tmp_path / "a.safetensors")
    whole = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(whole[:cut])
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        read_state(tmp_path / "a.safetensors")


def test_a_header_that_claims_terabytes_is_refused(tmp_path: Path):
    header = b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}'
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        read_state(tmp_path / "a.safetensors")
