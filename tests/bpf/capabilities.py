# SPDX-License-Identifier: Apache-2.0
"""Which capabilities this kernel asks of an agent that is not root, found out by trying: with each set the agent attaches and counts, or not.

    python3 -m tests.bpf.capabilities [OUT.json]

Root; gcc. The target is root's, in a directory that nobody else may enter. No check of the agent's own comes first: what refuses is the kernel.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from tests.bpf.conftest import PROGRAMS, Child
from tests.scale import patience

USER = 4321  #: of no name
CALLS = 70
BOUNDARIES_NS = [1_000_000]
KEPT = "compiled.json"
NEEDED = ("CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH")
MORE = "CAP_SYS_ADMIN"
_ATTACH = "from tests.bpf.capabilities import attach; attach()"


def attach() -> None:
    """Measure the process that the first argument names, as whom this is run; prints what was counted, or why nothing is."""
    from otel_jb.config.model import Config
    from otel_jb.host import procfs
    from otel_jb.model.errors import AgentError, PermissionDeniedError
    from otel_jb.model.stream import ProbeState, ProbeStatus, Series, Target
    from otel_jb.planner.planner import Planner
    from otel_jb.probes.backend import KernelOptions
    from otel_jb.probes.live import BpfBackend
    from otel_jb.probes.programs import cache, compiled
    from otel_jb.sandbox.client import Inspector

    compiled.TIMEOUT_S = patience(compiled.TIMEOUT_S)
    pid, kept = int(sys.argv[1]), Path(sys.argv[3])
    if kept.exists():
        mock.patch.object(cache, "read", return_value=json.loads(kept.read_text())).start()
        # What is kept is of no use only if the kernel refuses the maps: why it does not compile then would say nothing more.
        refused = PermissionDeniedError("the kernel does not let this process make BPF maps", "")
        mock.patch.object(compiled.Loading, "_compile", side_effect=refused).start()
    try:
        with Inspector() as inspector:
            plan = Planner(Config(), inspector).plan_process(procfs.process(pid), named=True)
        backend = BpfBackend(KernelOptions(BOUNDARIES_NS, links=sys.argv[2]))
        records = backend.attach(Target(1, pid, 0, "target", "", None, "target", "x", 0), plan)
        failed = [r.reason for r in records if isinstance(r, ProbeStatus) and r.state is not ProbeState.ATTACHED]
        if failed:
            raise SystemExit(failed[0])
        print("attached", flush=True)
        input()
        values = {each.series: each.returned for each in backend.snapshot().series}
        print(json.dumps({each.function: values[each.id] for each in records if isinstance(each, Series)}))
        backend.close()
    except (AgentError, OSError) as error:
        raise SystemExit(str(error).splitlines()[0]) from None


def keep_compiled(place: Path) -> None:
    """Compile the programs once, as root, for all attempts: only root's are kept, and an emulated processor takes minutes to compile them."""
    from otel_jb.probes.backend import KernelOptions
    from otel_jb.probes.live import BpfBackend
    from otel_jb.probes.programs import cache, compiled

    compiled.TIMEOUT_S = patience(compiled.TIMEOUT_S)
    with mock.patch.object(cache, "read", wraps=cache.read) as read:
        backend = BpfBackend(KernelOptions(BOUNDARIES_NS))
        assert backend.link_kind
        backend.close()
    found = cache.read(read.call_args.args[0])
    if found is not None:
        place.write_text(json.dumps(found))


def tried(capabilities: Sequence[str], target: Child, home: Path, user: int = USER, links: str = "auto") -> str:
    """Why nothing is measured with these capabilities; "" where every call is."""
    listed = ",".join("+" + each.removeprefix("CAP_").lower() for each in capabilities)
    sets = [f"--{kind}=-all,{listed}" for kind in ("bounding-set", "inh-caps", "ambient-caps")]
    ids = [f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs"]
    agent = subprocess.Popen(
        ["setpriv", *ids, *sets, "--", sys.executable, "-c", _ATTACH, str(target.pid), links, str(home / KEPT)],
        env={**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert agent.stdout is not None
    if agent.stdout.readline() != "attached\n":
        _, said = agent.communicate()
        return (said.strip().splitlines() or [f"it ended with {agent.returncode}"])[-1]
    target.ask(str(CALLS))
    counted, said = agent.communicate("\n")
    puts = json.loads(counted or "{}").get("jitterbuffer_put")
    return "" if puts == CALLS else f"it counted {puts} of {CALLS} calls; {said.strip()}"


def found() -> dict[str, Any]:
    """A set that suffices, and what becomes of it without each of its members."""
    with tempfile.TemporaryDirectory() as name:
        home, private = Path(name, "home"), Path(name, "private")
        Path(name).chmod(0o711)
        home.mkdir()
        os.chown(home, USER, USER)
        keep_compiled(home / KEPT)
        private.mkdir(0o700)
        program = private / "target"
        subprocess.run(["gcc", "-O1", "-o", program, PROGRAMS / "guide_names.c"], check=True)
        target = Child(program)
        try:
            suffices: tuple[str, ...] = NEEDED
            refused = tried(suffices, target, home)
            if refused:
                suffices = (*NEEDED, MORE)
                first, refused = refused, tried(suffices, target, home)
            without = {
                each: tried([one for one in suffices if one != each], target, home)
                for each in suffices
                if not refused and each != MORE
            }
            if suffices != NEEDED:
                without[MORE] = first
        finally:
            target.close()
    return {"capabilities": suffices, "refused": refused, "without": without}


if __name__ == "__main__":
    answer = found()
    print(json.dumps(answer, indent=2))
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(answer))
    sys.exit(1 if answer["refused"] else 0)
