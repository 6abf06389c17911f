"""How many views each network is run on at once, and where its weights lie."""

from __future__ import annotations

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from kivfm_core.composition.compose import compose
from kivfm_core.composition.memory import activation_bytes, working_bytes
from kivfm_core.config import RunConfig, build_config
from kivfm_core.distillation.processes.launch import find_machine
from kivfm_core.planner import placement as module
from kivfm_core.planner.networks import list_networks
from kivfm_core.planner.placement import (
    ENOUGH,
    Machine,
    NetworkPlacement,
    place,
    place_alone,
    planned_machine,
)
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import get_registry

TEACHERS = "dino/nano,clip/nano,sam/nano,segmenter/nano"
# From one GiB down to less than anything fits in.
SIZES = [int(2**30 * 0.95**power) for power in range(200)]


def configured(**flags) -> RunConfig:
    return build_config(None, {"teachers": TEACHERS, "data.image_size": 96, **flags})


def placed(config: RunConfig, kind: str, memory: int) -> dict[str, NetworkPlacement]:
    return place(config, compose(config), Machine(kind, memory))


def worked_with(name: str, side: int) -> int:
    """Bytes that an encoder has at once, at most, beside its weights and its canvas."""
    spec = get_registry().resolve(name)
    encoder = resolve_reference(spec.encoder)(spec).eval()
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        encoder(torch.rand(1, 3, side, side))
    now = most = 0
    events = seen.profiler.kineto_results.events()  # type: ignore[union-attr]
    for event in sorted(events, key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return most


@pytest.mark.parametrize(
    ("name", "side"),
    [("dino/nano", 96), ("sam/nano", 96), ("segmenter/deeplabv3-mnv3", 224), ("clip/nano", 96)],
)
def test_what_an_encoder_works_with_is_estimated_within_a_factor_of_four(name: str, side: int):
    measured = worked_with(name, side)
    assert measured / 4 < working_bytes((side, side)) < 4 * measured


def test_with_enough_memory_all_networks_take_whole_batches_on_the_students_device():
    for kind in ("cuda", "cpu"):
        there = placed(configured(), kind, 2**40)
        assert there.keys() == {"trunk@96", "clip/nano", "sam/nano", "segmenter/nano"}
        assert all((p.batch, p.device, p.offloaded) == (16, kind, False) for p in there.values())
    assert placed(configured(**{"engine.devices": 4}), "cuda", 2**40)["sam/nano"].batch == 4


def test_batches_are_halved_before_the_largest_weights_are_offloaded():
    config = configured()
    networks = {n.name: n for n in list_networks(config, compose(config))}
    largest = max(("clip/nano", "sam/nano", "segmenter/nano"), key=lambda n: networks[n].weights)
    before, gone = placed(config, "cuda", SIZES[0]), set[str]()
    halved = False
    for memory in SIZES:
        now = placed(config, "cuda", memory)
        away = {name for name, p in now.items() if p.offloaded}
        assert gone <= away and "trunk@96" not in away
        halved |= not away and any(p.batch < 16 for p in now.values())
        if away and not gone:
            assert halved and largest in away
        if away == gone:
            assert all(now[name].batch <= before[name].batch for name in now)
        for name, p in now.items():
            assert p.batch in (1, 2, 4, 8, 16)
            assert p.device == ("cpu" if p.offloaded else "cuda")
            assert p.memory == networks[name].weights + p.batch * networks[name].working
        before, gone = now, away
    assert gone == {"clip/nano", "sam/nano", "segmenter/nano"}
    # A CPU has no other memory to offload them to.
    assert not any(p.offloaded for p in placed(config, "cpu", SIZES[-1]).values())


def test_planned_networks_fit_beside_the_student_and_the_outputs_of_a_step():
    config = configured()
    composition = compose(config)
    networks = list(list_networks(config, composition))
    student = 4 * composition.total + 12 * composition.trainable
    answers = sum(16 * n.outputs for n in networks)
    learned = activation_bytes(composition, 1)
    assert learned is not None
    tight = 0
    for memory in SIZES:
        now = placed(config, "cuda", memory)
        teachers = [n for n in networks if n.size is None]
        resident = sum(n.weights for n in teachers if not now[n.name].offloaded)
        if resident:
            assert student + answers + resident + learned <= module.USABLE * memory
        for n in networks:
            # With all networks offloaded there is no further remedy: single views are tried.
            if n.name in now and (now[n.name].batch > 1 or resident):
                own = n.weights if now[n.name].offloaded else 0
                need = student + answers + resident + own + now[n.name].batch * n.working
                assert need <= module.USABLE * memory
                # Nor is the batch smaller than necessary.
                more = need + now[n.name].batch * n.working
                if now[n.name].batch < 16:
                    tight += 1
                    assert more > module.USABLE * memory
    assert tight


def test_alone_a_gpu_takes_larger_batches_and_a_cpu_those_of_a_run():
    config = configured(**{"optim.batch_size": 12})
    composition = compose(config)
    for memory in (2**40, *SIZES):
        cpu, gpu = Machine("cpu", memory), Machine("cuda", memory)
        run, alone = place(config, composition, gpu), place_alone(config, composition, gpu)
        same = {name: p.batch for name, p in place(config, composition, cpu).items()}
        assert {n: p.batch for n, p in place_alone(config, composition, cpu).items()} == same
        assert not any(p.offloaded for p in alone.values())
        assert all(run[n].batch <= p.batch <= ENOUGH for n, p in alone.items())
    assert {p.batch for p in place_alone(config, composition, Machine("cuda", 2**40)).values()} == {
        48
    }
    large = configured(**{"optim.batch_size": 256})
    alone = place_alone(large, compose(large), Machine("cuda", 2**40))
    assert {p.batch for p in alone.values()} == {256}


def test_what_is_free_at_the_moment_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    def machine(free: int) -> Machine:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 8 * 2**30))
        return find_machine(torch.device("cuda"))

    assert machine(0) == machine(2**30) == Machine("cuda", 8 * 2**30)


def test_what_a_run_is_planned_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "host_memory", lambda: 64)
    monkeypatch.setattr(module.sys, "platform", "linux")
    gpu, cpu = Machine("cuda", 2**33), Machine("cpu", 64)
    monkeypatch.setattr(module, "DRIVERS", ("/nothing",))
    assert planned_machine(configured(), None) == cpu
    monkeypatch.setattr(module, "DRIVERS", ("/nothing", "/dev/null"))
    assert planned_machine(configured(), None) is None
    assert place(configured(), compose(configured()), None) == {}
    assert planned_machine(configured(), gpu) == gpu
    # The configured accelerator may not be the one that was measured last.
    assert planned_machine(configured(**{"engine.accelerator": "cpu"}), gpu) == cpu
    assert planned_machine(configured(**{"engine.accelerator": "cuda"}), cpu) is None
    # The processes of a node share its memory, but each has a GPU to itself.
    assert planned_machine(configured(**{"engine.devices": 4}), cpu) == Machine("cpu", 16)
    assert planned_machine(configured(**{"engine.devices": 4}), gpu) == gpu
    small = configured(**{"engine.memory": 2.0})
    assert planned_machine(small, gpu) == Machine("cuda", 2**31)
    assert planned_machine(small, None) == Machine("auto", 2**31)
