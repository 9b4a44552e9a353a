# SPDX-License-Identifier: Apache-2.0
"""The two ways through the house that docs/architecture.md shows, against the calls that a running agent makes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bpf.conftest import Child, Compile
from tests.e2e.agent_process import Exposition, fetch, free_tcp_port, until
from tests.otlp_receiver import grpc_receiver

pytestmark = pytest.mark.bpf

ROOT = Path(__file__).parents[2]

#: The agent, each of whose processes notes when each function of its own is first called, on whichever thread, and says so at its end. It is
#: the standard output that says it, since the exporter can open no file.
TRACED = """
import json, os, sys, threading, time
seen = {}
def note(frame, event, _):
    module = frame.f_globals.get("__name__", "")
    if event == "call" and module.startswith("otel_jb."):
        owner = frame.f_locals.get("self")
        name = frame.f_code.co_name if owner is None else f"{type(owner).__name__}.{frame.f_code.co_name}"
        seen.setdefault(f"{module[8:]}.{name}", time.monotonic_ns())
def say():
    sys.setprofile(None)
    os.write(1, json.dumps(dict(list(seen.items()))).encode() + b"\\n")
def end(status, end=os._exit):
    say()
    end(status)
os._exit = end
os.register_at_fork(after_in_child=seen.clear)
threading.setprofile(note)
sys.setprofile(note)
from otel_jb.cli import main
code = main.main(sys.argv[1:])
threading.setprofile(None)
say()
sys.exit(code)
"""


def ways() -> list[list[str]]:
    """The calls of each way, as the page lists them."""
    text = (ROOT / "docs/architecture.md").read_text()
    section = text[text.index("## Two ways") : text.index("## From start")]
    return [
        re.findall(r"^([a-z_]+\.[\w.]+)", block, re.MULTILINE)
        for block in re.findall(r"```text\n(.*?)```", section, re.DOTALL)
    ]


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory, compile_program: Compile) -> list[str]:
    """The functions of the agent in the order of their first calls, of a run that serves data points and sends a span."""
    directory = tmp_path_factory.mktemp("traced")
    order, port = directory / "order.json", free_tcp_port()
    child = Child(compile_program("guide_names.c", "-O1"))
    with grpc_receiver() as receiver, order.open("w") as output:
        agent = subprocess.Popen(
            [
                *(sys.executable, "-c", TRACED, "run", "--pid", str(child.pid), "--port", str(port)),
                *("--otlp-endpoint", receiver.endpoint, "--interval", "1s"),
            ],
            cwd=ROOT,
            stdout=output,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: fetch(f"{url}/ready")[0] == 200, "the agent is ready", 120)
            assert child.ask("200") == "done"  # two of the puts take 20 ms

            def counted() -> float:
                return Exposition(fetch(f"{url}/metrics")[1]).total(
                    "jitterbuffer_calls_total", function="jitterbuffer_put"
                )

            until(lambda: counted() == 200, "all calls are data points", 120)
            until(receiver.spans, "a span arrives", 120)
        finally:
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(60) == 0
            child.close()
    first: dict[str, int] = {}
    for line in order.read_text().splitlines():
        for name, when in json.loads(line).items():
            first[name] = min(when, first.get(name, when))
    return sorted(first, key=first.__getitem__)


@pytest.mark.parametrize("number", [0, 1], ids=["a PID to a data point", "a slow call to a span"])
def test_the_calls_that_the_page_lists_are_made_in_this_order(called: list[str], number: int) -> None:
    """Every function of the way is called, for the first time after those before it, and no room is entered twice."""
    way = ways()[number]
    assert len(way) >= 6
    assert [name for name in way if name not in called] == []
    assert sorted(way, key=called.index) == way
    rooms = [name.partition(".")[0] for name in way]
    entered = [room for room, before in zip(rooms, ["", *rooms], strict=False) if room != before]
    assert len(entered) == len(set(entered))
