# SPDX-License-Identifier: Apache-2.0
"""The process that asks debuginfod servers: without privileges, it may use the network and write to the one file that it is handed.

It knows nothing of the agent but a URL and that file. An answer is at most MAX_BYTES long and takes at most SECONDS, however slowly it
comes; redirects are followed a few times, to HTTP and HTTPS only, and never from HTTPS to HTTP. What is no ELF file ends at its fourth byte.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import resource
import signal
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, NoReturn

from otel_jb.agent.confinement import limit_exporter
from otel_jb.host.privileges import PR_SET_PDEATHSIG, give_up_everything, name_this_thread, prctl

MAX_BYTES = 1 << 30
SECONDS = 120.0  #: that one answer may take
_STEP_SECONDS = 15.0  #: that a server may say nothing
_MOST_REDIRECTS = 5
_CHUNK = 1 << 18
_MEMORY = 512 << 20  #: beyond what is there at the start
FETCHED, MISSING = "fetched", "missing"  #: answers; any other says why there is no file
MOST_ANSWER = 512


def serve_and_exit(requests: socket.socket, seconds: float = SECONDS, most: int = MAX_BYTES) -> NoReturn:
    """What the forked child does, until the socket ends. A request is a URL with the descriptor of the file."""
    status = 1
    try:
        name_this_thread("jb-debuginfod")
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_IGN)
        _let_go_of_everything_but(requests.fileno())
        opener = _opener()
        _limit(most)
        give_up_everything()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user takes that back
        limit_exporter()
        while True:
            message, files, _, _ = socket.recv_fds(requests, 4096, 1)
            if not message or not files:
                break
            answer = _answered(opener, message.decode(), files[0], seconds, most)
            os.close(files[0])
            requests.send(answer.encode("utf-8", "replace")[:MOST_ANSWER])
        status = 0
    finally:
        os._exit(status)


def _let_go_of_everything_but(keep: int) -> None:
    """The reader's descriptors; the terminal too."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.closerange(3, keep)
    os.closerange(keep + 1, 1 << 16)


def _limit(most: int) -> None:
    with open("/proc/self/statm") as file:
        memory = int(file.read().split()[0]) * resource.getpagesize() + _MEMORY
    for name, value in (
        (resource.RLIMIT_FSIZE, most),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(name)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (bound, bound))


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = _MOST_REDIRECTS
    max_repeats = 2

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        wanted = ("https://",) if req.full_url.startswith("https://") else ("https://", "http://")
        if not newurl.lower().startswith(wanted):
            raise urllib.error.URLError("it redirects to another protocol")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """With everything imported and read that cannot be afterwards."""
    import encodings.idna  # noqa: F401 - names of servers
    import ssl

    handler = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    opener = urllib.request.OpenerDirector()
    for each in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        handler,
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(each)
    opener.addheaders = [("User-Agent", "otel-jb"), ("Accept-Encoding", "identity")]
    return opener


def _answered(opener: urllib.request.OpenerDirector, url: str, file: int, seconds: float, most: int) -> str:
    try:
        with _at_most(seconds):
            _download(opener, url, file, most)
    except urllib.error.HTTPError as error:
        return MISSING if error.code in (404, 410) else f"HTTP status {error.code}"
    except TimeoutError:
        return f"no whole answer within {seconds:g} s"
    except (OSError, http.client.HTTPException, ValueError, MemoryError) as error:
        return str(error) or type(error).__name__
    return FETCHED


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in this thread, the main one, whatever it waits for."""
    armed = True

    def late(_number: int, _frame: object) -> None:
        if armed:
            raise TimeoutError

    signal.signal(signal.SIGUSR1, late)
    timer = threading.Timer(seconds, signal.pthread_kill, (threading.get_ident(), signal.SIGUSR1))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        armed = False
        timer.cancel()


def _download(opener: urllib.request.OpenerDirector, url: str, file: int, most: int) -> None:
    """Raises OSError, HTTPException, ValueError."""
    with opener.open(url, timeout=_STEP_SECONDS) as answer:
        size = 0
        while chunk := answer.read(_CHUNK):
            if size == 0 and not chunk.startswith(b"\x7fELF"):
                raise ValueError("it sent no ELF file")
            size += len(chunk)
            if size > most:
                raise ValueError(f"it sent more than {most >> 20} MiB")
            left = memoryview(chunk)
            while left:
                left = left[os.write(file, left) :]
        length = answer.headers.get("Content-Length")
        if not size or (length is not None and length.isdecimal() and int(length) != size):
            raise ValueError("its answer broke off")
