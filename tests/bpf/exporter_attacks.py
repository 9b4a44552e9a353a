# SPDX-License-Identifier: Apache-2.0
"""The real service, with one more page that runs attacker's code in the exporter: GET /attack. Arguments: the target's PID, a file of root."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import platform
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from otel_jb.agent import exporting, service
from otel_jb.config.model import Address, Config, TargetSelector
from otel_jb.telemetry.endpoint import Page, standard_pages
from otel_jb.telemetry.http1 import Request, Response
from tests.unit import sandbox_attacks

TARGET, SECRET = int(sys.argv[1]), sys.argv[2]
READER = os.getpid()


def ended(act: Callable[[], object]) -> str:
    """`done`, or the error."""
    try:
        act()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "?")
    return "done"


def attack(_: Request) -> Response:
    """What came of each attempt."""
    files = {
        "a file of root": SECRET,
        "the target's memory": f"/proc/{TARGET}/mem",
        "the target's maps": f"/proc/{TARGET}/maps",
        "the target's files": f"/proc/{TARGET}/root/etc/passwd",
        "the reader's memory": f"/proc/{READER}/mem",
        "the reader's environment": f"/proc/{READER}/environ",
    }
    found = {f"read {name}": ended(lambda path=path: os.open(path, os.O_RDONLY)) for name, path in files.items()}  # type: ignore[misc]
    found["signal the reader"] = ended(lambda: os.kill(READER, 0))
    for name, call, arguments in sandbox_attacks.ATTEMPTS:
        if name != "ignore its alarm":
            found[name] = sandbox_attacks.attempt(numbers[call], arguments())
    return Response(json.dumps({"attempts": found, "pid": os.getpid()}).encode(), "application/json")


def pages(*arguments: Any) -> dict[str, Page]:
    """The pages of the exporter, and one more."""
    return {**standard_pages(*arguments), "/attack": attack}


numbers = sandbox_attacks.header_numbers(platform.machine(), sorted({call for _, call, _ in sandbox_attacks.ATTEMPTS}))
sandbox_attacks._numbers.update(numbers)
exporting.standard_pages = pages  # type: ignore[attr-defined,assignment]
begin = service.Service.start


def start(self: service.Service) -> None:
    """Says on the standard output what the reader may do, then goes on."""
    families = {
        "AF_INET": socket.AF_INET,
        "AF_INET6": socket.AF_INET6,
        "AF_NETLINK": socket.AF_NETLINK,
        "AF_UNIX": socket.AF_UNIX,
    }
    found = {name: ended(lambda family=family: socket.socket(family).close()) for name, family in families.items()}  # type: ignore[misc]
    print(json.dumps(found), flush=True)
    begin(self)


service.Service.start = start  # type: ignore[method-assign]
config = dataclasses.replace(
    Config(), targets=(TargetSelector(pid=TARGET),), listen=Address("127.0.0.1", int(sys.argv[3]))
)
sys.exit(service.run(config))
