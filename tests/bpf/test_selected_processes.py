# SPDX-License-Identifier: Apache-2.0
"""Processes of one program told apart by more than its name."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

from otel_jb.config.model import TargetSelector
from otel_jb.model.stream import Target
from tests.bpf.conftest import Child, Compile
from tests.bpf.test_agent import running

pytestmark = pytest.mark.bpf

#: a Python that loads the jitter buffer at once, and opens a port on request
LISTENS_LATER = """
import ctypes, socket, sys
speex = ctypes.CDLL("libspeexdsp.so.1")
speex.jitter_buffer_init.restype = ctypes.c_void_p
buffer = ctypes.c_void_p(speex.jitter_buffer_init(160))
print("ready", flush=True)
sys.stdin.readline()
opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
opened.bind(("127.0.0.1", int(sys.argv[1])))
print("bound", flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        speex.jitter_buffer_tick(buffer)
    print("done", flush=True)
"""


def test_of_two_processes_of_one_file_the_command_line_picks_one(
    compile_program: Compile, start: Callable[..., Child]
) -> None:
    """The one that fits is counted to the call, the other not at all, although both run the file that is probed."""
    path = compile_program("guide_names.c", "-O1")
    first, second = start(path, "cam0"), start(path, "cam1")
    with running(TargetSelector(binary=str(path), command="*cam1")) as agent:
        agent.wait(lambda: len(agent.of(Target)) == 1, "the process is attached")
        assert first.ask("5") != ""
        assert second.ask("9") != ""
        assert agent.returned("jitterbuffer_put", second.pid) == 9
        assert agent.returned("jitterbuffer_put") == 9


def test_a_process_is_measured_once_it_opens_the_port() -> None:
    """It is not before, and nobody has to start the agent again."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    child = subprocess.Popen(
        [sys.executable, "-c", LISTENS_LATER, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "ready\n"
        with running(TargetSelector(port=port)) as agent:
            assert not agent.of(Target)
            child.stdin.write("\n")
            assert child.stdout.readline() == "bound\n"
            agent.wait(
                lambda: [t.pid for t in agent.of(Target) if isinstance(t, Target)] == [child.pid], "it is attached"
            )
            child.stdin.write("25\n")
            assert child.stdout.readline() == "done\n"
            assert agent.returned("jitter_buffer_tick", child.pid) == 25
    finally:
        child.stdin.close()
        child.stdout.close()
        child.kill()
        child.wait(10)
