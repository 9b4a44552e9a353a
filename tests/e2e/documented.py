# SPDX-License-Identifier: Apache-2.0
"""The server of which the documentation's commands speak, and those commands as they are printed.

1234 becomes the server's number, /usr/bin/ffmpeg its file. They run in a network namespace of their own, so that port 9310 is theirs.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.agent_process import COMMAND, until

PROGRAM = """
#include <unistd.h>
struct JitterBuffer {
    int sizes[64] = {};
    unsigned first = 0, last = 0;
    __attribute__((noinline)) int put(const char *packet, int size);
    __attribute__((noinline)) int get(int *size);
};
int JitterBuffer::put(const char *packet, int size) { if (last - first == 64) return -1; sizes[last++ % 64] = size + packet[0]; return 0; }
int JitterBuffer::get(int *size) { if (first == last) return -1; *size = sizes[first++ % 64]; return 0; }
int main()
{
    JitterBuffer buffer;
    for (int size;; usleep(2000)) { buffer.put("", 160); buffer.get(&size); }
}
"""


@dataclass(frozen=True)
class DocumentedServer:
    """A running server; `network` is the process whose network its commands have."""

    pid: int
    network: int
    directory: Path
    path: str  #: of the shell, with `otel-jb` on it

    def shell(self, line: str) -> list[str]:
        """A printed line as the arguments of a process, in that network."""
        text = line.replace("1234", str(self.pid)).replace("/usr/bin/ffmpeg", str(self.directory / "my-server"))
        return ["nsenter", f"--net=/proc/{self.network}/ns/net", "env", f"PATH={self.path}", "sh", "-c", f"exec {text}"]

    def ask(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line that ends by itself."""
        return subprocess.run(
            self.shell(line), cwd=self.directory, capture_output=True, text=True, timeout=180, check=False
        )


@contextmanager
def documented_server(directory: Path) -> Iterator[DocumentedServer]:
    """The server `my-server`, compiled and started in a directory, with a network that has a loopback."""
    (directory / "server.cc").write_text(PROGRAM)
    subprocess.run(["g++", "-O1", "-g", "-o", "my-server", "server.cc"], cwd=directory, check=True)
    programs = directory / "bin"
    programs.mkdir()
    (programs / "otel-jb").symlink_to(COMMAND)
    alone = ["unshare", "--net", "sh", "-c", "ip link set lo up && exec sleep infinity"]
    with started(alone, directory, "net") as net, started(["./my-server"], directory, "server") as server:
        made = DocumentedServer(server.pid, net.pid, directory, f"{programs}:{os.environ['PATH']}")
        until(lambda: made.ask("ip -brief address show lo | grep -q 127.0.0.1").returncode == 0, "loopback")
        yield made


@contextmanager
def started(argv: list[str], directory: Path, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its output in NAME.log, killed at the end if it still runs."""
    with open(directory / f"{name}.log", "wb") as log:
        child = subprocess.Popen(argv, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield child
    finally:
        child.kill()
        child.wait()
