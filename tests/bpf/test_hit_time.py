# SPDX-License-Identifier: Apache-2.0
"""The CPU time in probe hits that samples show is what the process's own clock says that probes add."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from platform import machine
from statistics import median

import pytest

from otel_jb.model.plan import EndStrategy, ProbePlan
from otel_jb.model.stream import Target
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.probes.read.sampler import Sampler
from tests.bpf.conftest import Child, Compile
from tests.bpf.plans import Meaning, plan_for
from tests.scale import scaled

pytestmark = pytest.mark.bpf

ROOT = Path(__file__).parents[2]
#: Samples a process until there are some, as often as a machine needs on which others work, too; how many.
_SAMPLE = """
import time
from otel_jb.probes.read.sampler import Sampler
def sample(pid):
    for _ in range(100):
        sampler = Sampler(pid)
        time.sleep(0.1)
        samples, _ = sampler.end()
        if samples:
            return len(samples)
"""

#: Twelve threads that each run for a period and a half when a line comes, one after the other; tells how long all ran by the process's clock.
_SHORT_THREADS = """
import sys, threading, time
RUN_S = 1.5e-3
turns = [threading.Event() for _ in range(12)]
done = threading.Semaphore(0)
def run(turn):
    turn.wait()
    until = time.thread_time() + RUN_S
    while time.thread_time() < until:
        pass
    done.release()
    threading.Event().wait()
for turn in turns:
    threading.Thread(target=run, args=(turn,), daemon=True).start()
print(flush=True)
sys.stdin.readline()
before = time.process_time()
for turn in turns:
    turn.set()
    done.acquire()
print(time.process_time() - before, flush=True)
sys.stdin.readline()
"""

#: On AArch64 the cheapest end is `ret` itself, and no edges are ever chosen.
STRATEGIES = [EndStrategy.EDGE_SITES if machine() == "x86_64" else EndStrategy.RET_SITES, EndStrategy.URETPROBE]
FLAGS = ("-O1", "-fcf-protection=none", "-fstack-protector-all") if machine() == "x86_64" else ("-O1",)
RATE, WORDS = scaled(20_000, 200), 200
SLOT_S = 0.4
FEWEST, MOST = 4, 40  #: rounds; of a machine on which others work too, more are taken


def target_of(child: Child) -> Target:
    """The child as a target."""
    return Target(1, child.pid, 0, "spinning", "", None, "", "", 0)


def cpu_s(child: Child) -> float:
    """CPU time of the thread that is probed: the first that the program has started."""
    _, serving, *_ = sorted(int(thread.name) for thread in Path(f"/proc/{child.pid}/task").iterdir())
    return int(Path(f"/proc/{child.pid}/task/{serving}/schedstat").read_text().split()[0]) / 1e9


def share(child: Child) -> float:
    """Of a CPU, that the thread uses."""
    began, before = time.monotonic(), cpu_s(child)
    time.sleep(SLOT_S)
    return (cpu_s(child) - before) / (time.monotonic() - began)


def rounds(child: Child, plan: ProbePlan, backend: BpfBackend) -> Iterator[tuple[float, float]]:
    """What probes add by the thread's clock, and what samples show, in shares of a CPU."""
    for _ in range(MOST):
        alone = share(child)
        backend.attach(target_of(child), plan)
        try:
            probed = share(child)
            began = time.monotonic()
            assert backend.sample_hits(1)
            time.sleep(SLOT_S)
            seen, elapsed = backend.hit_time(), time.monotonic() - began
        finally:
            backend.detach(1)
        assert seen is not None
        yield probed - alone, (sum(seen.seconds.values()) + seen.unknown_s) / elapsed


@pytest.mark.parametrize("beside", ["rest", "spin"])
@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda each: each.value)
def test_samples_show_what_probes_add(
    strategy: EndStrategy, beside: str, compile_program: Compile, start: Callable[..., Child]
) -> None:
    """Within a half of the difference that the thread's CPU clock makes, also beside a thread that never sleeps."""
    path = compile_program("spinning.c", *FLAGS)
    child = start(path, str(RATE), str(WORDS))
    child.say(beside)
    plan = plan_for(path, {"put": Meaning(uretprobe="a leaf")}, strategy)
    assert plan.probes[0].strategy is strategy
    added, seen = [], []
    with closing(BpfBackend(KernelOptions([1_000_000]))) as backend:
        for by_clock, by_samples in rounds(child, plan, backend):
            added.append(by_clock)
            seen.append(by_samples)
            if len(added) >= FEWEST and 0.7 < median(seen) / max(1e-9, median(added)) < 1.35:
                break
    assert median(added) > 0.0
    assert 0.5 < median(seen) / median(added) < 1.5
    assert child.close() == 7


def test_nothing_is_seen_of_a_process_without_hits(compile_program: Compile, start: Callable[..., Child]) -> None:
    """Its probes wait for calls that do not come."""
    path = compile_program("spinning.c", *FLAGS)
    child = start(path, "0", "0")
    child.say("spin")
    with closing(BpfBackend(KernelOptions([1_000_000]))) as backend:
        backend.attach(target_of(child), plan_for(path, {"put": Meaning()}))
        assert backend.sample_hits(1)
        time.sleep(SLOT_S)
        seen = backend.hit_time()
        assert seen is not None
        assert (dict(seen.seconds), seen.unknown_s) == ({}, 0.0)
        assert backend.hit_time() is None


def test_what_the_agents_unit_grants_is_enough(compile_program: Compile, start: Callable[..., Child]) -> None:
    """A user without a name samples root's process with the four capabilities of a service, of which CAP_SYS_ADMIN is none."""
    child = start(compile_program("spinning.c", *FLAGS), "0", "0")
    child.say("spin")
    names = ("bpf", "perfmon", "sys_ptrace", "dac_read_search")
    granted = "".join(f",+{name}" for name in names)
    user = (
        "--reuid=4321",
        "--regid=4321",
        "--clear-groups",
        f"--inh-caps=-all{granted}",
        f"--bounding-set=-all{granted}",
    )
    program = (sys.executable, "-c", f"{_SAMPLE}\nprint(sample({child.pid}))")
    made = subprocess.run(
        ["setpriv", *user, f"--ambient-caps=-all{granted}", *program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.stderr == ""
    assert int(made.stdout) > 0


def test_a_detached_process_is_sampled_no_more(compile_program: Compile, start: Callable[..., Child]) -> None:
    """What is seen of it afterwards is no time in hits of probes that it has."""
    child = start(compile_program("spinning.c", *FLAGS), "1000", "10")
    with closing(BpfBackend(KernelOptions([1_000_000]))) as backend:
        backend.attach(target_of(child), plan_for(child.path, {"put": Meaning()}))
        assert backend.sample_hits(1)
        backend.detach(1)
        assert backend.hit_time() is None


def test_an_ended_process_is_not_sampled(compile_program: Compile, start: Callable[..., Child]) -> None:
    """Neither when it has ended before, nor does its end while it is sampled do harm."""
    path = compile_program("spinning.c", *FLAGS)
    child = start(path, "1000", "10")
    with closing(BpfBackend(KernelOptions([1_000_000]))) as backend:
        backend.attach(target_of(child), plan_for(path, {"put": Meaning()}))
        assert backend.sample_hits(1)
        assert child.close() == 7
        assert backend.hit_time() is not None
        assert not backend.sample_hits(1)
        assert backend.hit_time() is None


def test_samples_stand_for_all_that_threads_ran_who_run_little() -> None:
    """Each thread's last period has no sample: twelve threads of a period and a half have twelve, which stand for the time of eighteen."""
    with subprocess.Popen(
        [sys.executable, "-c", _SHORT_THREADS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        sampler = Sampler(child.pid)
        child.stdin.write("\n")
        child.stdin.flush()
        used_s = float(child.stdout.readline())
        samples, each_ns = sampler.end()
        child.stdin.close()
    assert len(samples) >= 12
    assert len(samples) * each_ns / 1e9 == pytest.approx(used_s, rel=0.1)
