# SPDX-License-Identifier: Apache-2.0
"""The programs that are made for probes, as the kernel takes them."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_jb.catalog import load as load_catalog
from otel_jb.model.errors import UnsupportedError
from otel_jb.model.plan import PairKey
from otel_jb.model.reads import Op, ReadOp, ReadProgram
from otel_jb.probes import abi, features
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.probes.programs import compiled
from otel_jb.probes.programs.instances import Instances, load_program, shared
from otel_jb.probes.programs.prepared import Prepared, prepare
from otel_jb.probes.programs.template import Shape, of_pair, shape_of
from tests import scale

pytestmark = pytest.mark.bpf


@pytest.fixture(scope="module")
def instances() -> Iterator[Instances]:
    loaded = compiled.Loading(24, 5, 64).result()
    made = Instances(loaded.templates, loaded.maps, multi=loaded.links == "multi")
    yield made
    made.close()
    loaded.close()


def shapes_of_profiles() -> list[tuple[str, Shape]]:
    """Names and shapes of programs for whatever a shipped profile reads, nested or not, and told of when late or not if a packet can be.

    An entry's program has nothing of what is read at the end, nor has the end's of the other, so many functions need the same.
    """
    reads = sorted({function.program for function in load_catalog().functions()}, key=repr)
    assert len(reads) > 20
    # Session programs are for kernels that have their links.
    parts = {"on_entry": "entry", "on_end": "end"} | ({"on_session": ""} if features.has_sessions() else {})
    cookie = 7 | 0xFFFFFFF8 << abi.COOKIE_OFFSET_SHIFT
    found: dict[object, tuple[str, Shape]] = {}
    for each, (name, part), nests, late in itertools.product(reads, parts.items(), (False, True), ((), (0,))):
        if late and not any(op.op is Op.OUTCOME for op in (*each.entry, *each.end)):
            continue
        shape = shape_of(each, events=True, nests=nests, cookie=cookie, late=late)
        found.setdefault((name, shape.features, getattr(each, part) if part else each), (name, shape))
    return list(found.values())


def test_the_verifier_takes_the_programs_of_every_profile(instances: Instances) -> None:
    """Whatever a shipped profile reads, with a cookie of its own or the kernel's: the kernel loads it. Where a machine is emulated, each has one of the two."""
    for number, (name, shape) in enumerate(shapes_of_profiles()):
        forms = (shape, shared(shape))
        for one in forms if scale.SCALE >= 1 else forms[number % 2 :][:1]:
            assert instances.take(name, one) > 0
            instances.give_back(name, one)


def test_programs_made_quickly_are_those_made_anew() -> None:
    """What is kept between the programs of one attachment changes none of them, whatever was made before."""
    loaded = compiled.Loading(24, 5, 64).result()
    try:
        kept = {name: prepare(template, loaded.maps) for name, template in loaded.templates.items()}
        for name, shape in shapes_of_profiles()[::29]:
            assert kept[name].filled(shape) == prepare(loaded.templates[name], loaded.maps).filled(shape)
    finally:
        loaded.close()


RARE = (
    ReadProgram(entry=(ReadOp(Op.DEPTH, src=1), ReadOp(Op.END))),
    ReadProgram(end=(ReadOp(Op.OPEN, src=0), ReadOp(Op.END))),
    ReadProgram(entry=(ReadOp(Op.CLOSE, src=0), ReadOp(Op.END))),
    ReadProgram(end=(ReadOp(Op.LEAVES, src=0), ReadOp(Op.END))),
)


@pytest.mark.parametrize("name", ["on_entry", "on_end"])
def test_what_few_probes_have_is_asked_for_in_their_programs_alone(name: str) -> None:
    """Probes without it get programs that are less than half as long; each of the others gets the one that serves it."""
    loaded = compiled.Loading(24, 5, 64).result()
    plain = abi.PLAIN[name]
    assert 2 * len(loaded.templates[plain].code) < len(loaded.templates[name].code)
    usual = shape_of(ReadProgram(), events=True, nests=True)
    rare = [
        *(shape_of(reads, events=True, nests=True) for reads in RARE),
        shape_of(ReadProgram(), events=True, nests=True, goroutine=True),
        shape_of(ReadProgram(), events=True, nests=True, late=[0]),
        of_pair(usual, PairKey(1, 2), stop=name == "on_end"),
    ]
    only_plain = Instances({plain: loaded.templates[plain]}, loaded.maps, multi=loaded.links == "multi")
    without = Instances({name: loaded.templates[name]}, loaded.maps, multi=loaded.links == "multi")
    try:
        assert only_plain.take(name, usual) > 0
        for shape in rare:
            assert without.take(name, shape) > 0
        for made, shapes in ((only_plain, rare), (without, [usual])):
            for shape in shapes:
                with pytest.raises(KeyError):
                    made.take(name, shape)
    finally:
        only_plain.close()
        without.close()
        loaded.close()


def programs_held() -> set[int]:
    """The kernel's numbers of the BPF programs that this process has descriptors of."""
    found = set()
    for info in Path("/proc/self/fdinfo").iterdir():
        try:
            text = info.read_text()
        except OSError:  # the descriptor of this very listing
            continue
        found |= {int(line.split()[1]) for line in text.splitlines() if line.startswith("prog_id:")}
    return found


def test_the_verifier_takes_the_programs_for_processes(instances: Instances) -> None:
    """Those that run when a process executes or ends, and what user space has the kernel do."""
    for name in ("on_exec", "on_exit", "on_command"):
        shape = shape_of(ReadProgram(), events=False, nests=False, cookie=0)
        assert instances.take(name, shape) > 0
        instances.give_back(name, shape)


def test_equal_programs_are_loaded_once_and_closed_with_the_last_user(instances: Instances) -> None:
    """Two probes that need the same share a program, which this process holds until the second gives it back, and no longer."""
    shape = shape_of(ReadProgram(), events=True, nests=False)
    before = programs_held()
    first = instances.take("on_entry", shape)
    (made,) = programs_held() - before
    assert instances.take("on_entry", shape) == first
    assert programs_held() == before | {made}
    instances.give_back("on_entry", shape)
    assert programs_held() == before | {made}
    assert instances.take("on_entry", shape) == first
    instances.give_back("on_entry", shape)
    instances.give_back("on_entry", shape)
    assert programs_held() == before


def test_what_the_verifier_refuses_is_told_with_its_reason() -> None:
    """A program that the kernel does not take is one clear error."""
    with pytest.raises(UnsupportedError, match="does not load the BPF program broken: "):
        load_program("broken", bytes(8), 0)


def test_a_backend_whose_program_is_refused_says_so_and_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older verifier may refuse what a newer one takes: that is the error, and closing after it is none."""
    before = set(Path("/proc/self/fd").iterdir())
    monkeypatch.setattr(Prepared, "filled", lambda *_: bytes(8))
    backend = BpfBackend(KernelOptions([1_000_000]))
    with pytest.raises(UnsupportedError, match="does not load the BPF program on_entry: "):
        backend.measure_cost()
    backend.close()
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_signals_that_keep_arriving_do_not_keep_a_program_from_being_loaded(instances: Instances) -> None:
    """The kernel gives up verifying a program when a signal arrives; the agent's own wait until it is loaded."""
    arrived: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: arrived.append(number))
    shape = shape_of(ReadProgram(), events=True, nests=True)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for _ in range(3):
            assert instances.take("on_entry", shape) > 0
            instances.give_back("on_entry", shape)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert arrived
