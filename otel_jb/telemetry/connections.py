# SPDX-License-Identifier: Apache-2.0
"""The connections of the endpoint: many clients that are slow, silent or hostile, on one thread, and none waits for another.

A connection costs a task, not a thread; pages are made by a few threads of their own. Beyond the limits the connection goes that has kept
its place longest without asking for anything, then one that does not take its answer. Whether it takes it shows after a moment, for which
a new connection waits: who asks and reads at once is served, unless more than MAX_LATE wait.

A stream of events keeps its connection, so at most a quarter of the places are theirs: open pages leave the rest to scrapes.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from http import HTTPStatus

from otel_jb.telemetry.http1 import (
    MAX_REQUEST_BYTES,
    BadRequestError,
    Events,
    Request,
    Response,
    check_size,
    chunk,
    head_of,
    is_chunked,
    parse,
)

_logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 128  #: in total
MAX_OF_A_CLIENT = 64  #: limit per client, so that one machine leaves room for the others
MAX_LATE = 64  #: connections beside those, which wait for a place
REQUEST_SECONDS = 5.0  #: for the TLS handshake and the request, together
ANSWER_SECONDS = 10.0  #: for a client to take its answer
_STUCK_SECONDS = 0.1  #: an answer that was not taken after this may be given up for another connection
_STREAMS_OF = 4  #: one in this many connections may be a stream of events
_STREAMS_OF_A_CLIENT = 0.75  #: the share of those that one client may have
_SPARE_DESCRIPTORS = 24  #: kept for what the agent itself does
_PAGE_THREADS = 4
_PIECE_BYTES = 64 * 1024
_MAX_CHECKS = 32  #: passwords that wait to be checked

Answer = Callable[[Request], Response]
Tls = Callable[[], "ssl.SSLContext | None"]


class _State(IntEnum):
    WAITING = 0  #: no complete request yet
    ANSWERING = 1
    SENDING = 2
    STREAMING = 3  #: events, for as long as the client stays


class _Connection:
    """One client's. Knows nothing of the others."""

    def __init__(self, client: str, accepted: socket.socket) -> None:
        self.client = client
        self.accepted = accepted
        self.started = False
        self.since = time.monotonic()
        self.state = _State.WAITING
        self.task: asyncio.Task[None] | None = None

    def enter(self, state: _State) -> None:
        self.state, self.since = state, time.monotonic()


class Connections:
    """Serves one listening socket on a separate thread.

    Args:
        listener: bound and listening.
        answer: makes the response to a request; may block; must not raise.
        at_once: like it, for what never waits for anything, and for refusals, answered even while all threads are busy; None where
            `answer` is to be asked.
        check: may refuse a request with a response, which takes processor time (a password); on one thread of its own, so that
            guessing costs one processor and no page. None from it, or no `check` at all: go on. `needs_check` says where it is asked.
        tls: the context for a new connection; None where there is no TLS.
    """

    def __init__(
        self,
        listener: socket.socket,
        answer: Answer,
        at_once: Callable[[Request], Response | None],
        tls: Tls = lambda: None,
        needs_check: Callable[[Request], bool] = lambda _: False,
        check: Callable[[Request], Response | None] = lambda _: None,
    ) -> None:
        self._needs_check = needs_check
        self._check = check
        self._checks = ThreadPoolExecutor(1, thread_name_prefix="password")
        self._checking = 0
        self._listener = listener
        self._answer = answer
        self._at_once = at_once
        self._tls = tls
        self._open: dict[_Connection, None] = {}  # in the order of arrival
        self._late = 0  # connections that wait for a place
        self._limit = min(MAX_CONNECTIONS, max(4, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE_DESCRIPTORS))
        self._pages = ThreadPoolExecutor(_PAGE_THREADS, thread_name_prefix="page")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="endpoint", daemon=True)
        self._started = threading.Event()
        self._failed: OSError | None = None

    def start(self) -> None:
        """Start serving. Raises OSError if there are too few descriptors."""
        self._thread.start()
        self._started.wait(5)
        if self._failed is not None:
            raise self._failed

    def close(self) -> None:
        """Stop; connections are cut. Returns soon, whatever a page does."""
        loop, accepting = self._loop, self._accepting
        if loop is not None and accepting is not None:
            try:
                loop.call_soon_threadsafe(accepting.cancel)
            except RuntimeError:  # it has ended by itself
                pass
            self._thread.join(1.0)
        for pool in (self._pages, self._checks):
            pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except OSError as error:  # no descriptor was left for the loop: `start` says so
            if self._started.is_set():
                raise
            self._failed = error
            self._started.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda _, context: _logger.debug("endpoint: %s", context.get("message")))
        self._listener.setblocking(False)
        self._accepting = self._loop.create_task(self._accept())
        self._started.set()
        try:
            await self._accepting
        except asyncio.CancelledError:
            pass
        for each in list(self._open):
            if each.task is not None:
                each.task.cancel()

    async def _accept(self) -> None:
        assert self._loop is not None
        while True:
            try:
                accepted, peer = await self._loop.sock_accept(self._listener)
            except OSError as error:
                # Out of descriptors, or the client is gone already: neither is worth an end, nor a busy loop.
                _logger.debug("accept: %s", error)
                self._evict(None)
                await asyncio.sleep(0.05)
                continue
            connection = _Connection(str(peer[0]), accepted)
            if self._make_room(connection.client):
                self._admit(connection)
            elif self._late < MAX_LATE:
                connection.task = self._loop.create_task(self._admit_later(connection))
            else:
                accepted.close()

    def _admit(self, connection: _Connection) -> None:
        assert self._loop is not None
        self._open[connection] = None
        connection.task = self._loop.create_task(self._serve(connection))

    async def _admit_later(self, connection: _Connection) -> None:
        """Once it has shown which of the answers under way are not taken."""
        self._late += 1
        admitted = False
        try:
            await asyncio.sleep(1.5 * _STUCK_SECONDS)
            admitted = self._make_room(connection.client)
            if admitted:
                self._admit(connection)
        finally:
            self._late -= 1
            if not admitted:
                connection.accepted.close()

    def _make_room(self, client: str) -> bool:
        """Whether one more connection of this client has its place now, if need be that of another."""
        of_client = sum(each.client == client for each in self._open)
        if of_client >= min(MAX_OF_A_CLIENT, self._limit):
            return self._evict(client)
        if len(self._open) >= self._limit:
            most = Counter(each.client for each in self._open).most_common(1)[0][0]
            return self._evict(most)
        return True

    def _evict(self, client: str | None) -> bool:
        """Close the least valuable connection of this client (or of any); False if all are being answered."""
        now = time.monotonic()
        candidates = [
            each
            for each in self._open
            if (client is None or each.client == client)
            and (each.state is _State.WAITING or (each.state is _State.SENDING and now - each.since > _STUCK_SECONDS))
        ]
        if not candidates:
            return False
        chosen = min(candidates, key=lambda each: (each.state, each.since))
        del self._open[chosen]
        if chosen.task is not None:
            chosen.task.cancel()
        if not chosen.started:  # nor ever will: its task has nothing to clean up
            chosen.accepted.close()
        return True

    async def _serve(self, connection: _Connection) -> None:
        assert self._loop is not None
        connection.started = True
        accepted = connection.accepted
        writer: asyncio.StreamWriter | None = None
        try:
            reader = asyncio.StreamReader(limit=2 * MAX_REQUEST_BYTES)
            protocol = asyncio.StreamReaderProtocol(reader)
            context = self._tls()
            async with _Deadline(REQUEST_SECONDS):
                transport, _ = await self._loop.connect_accepted_socket(
                    lambda: protocol,
                    accepted,
                    ssl=context,
                    ssl_handshake_timeout=REQUEST_SECONDS if context is not None else None,
                )
                writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
                request, response = await _request(reader, connection.client)
            if request is not None:
                connection.enter(_State.ANSWERING)
                response = self._at_once(request)
                if response is None and self._needs_check(request):
                    response = await self._checked(request)
                if response is None:
                    response = await self._loop.run_in_executor(self._pages, self._answer, request)
            if response is not None and isinstance(response.body, Events) and not _is_head(request):
                if self._has_room_for_stream(connection):
                    connection.enter(_State.STREAMING)
                    await self._stream((reader, writer), response, response.body, request)
                    return
                response = text(HTTPStatus.SERVICE_UNAVAILABLE, "too many pages are open; close one")
            if response is not None:
                connection.enter(_State.SENDING)
                async with _Deadline(ANSWER_SECONDS):
                    await self._send(writer, response, request)
        except (OSError, EOFError, TimeoutError, asyncio.TimeoutError, ssl.SSLError) as error:
            _logger.debug("connection from %s: %s", connection.client, error)
        except Exception as error:  # noqa: BLE001 (a page that fails half way, a pool that has been shut down: this connection's end)
            _logger.debug("connection from %s: %s", connection.client, error)
        finally:
            self._open.pop(connection, None)
            if writer is not None:
                if _sent(writer):
                    writer.close()
                else:
                    writer.transport.abort()
            else:
                accepted.close()

    async def _checked(self, request: Request) -> Response | None:
        assert self._loop is not None
        if self._checking >= _MAX_CHECKS:
            return text(HTTPStatus.SERVICE_UNAVAILABLE, "too many passwords are being checked")
        self._checking += 1
        try:
            return await self._loop.run_in_executor(self._checks, self._check, request)
        finally:
            self._checking -= 1

    async def _send(self, writer: asyncio.StreamWriter, response: Response, request: Request | None) -> None:
        assert self._loop is not None
        writer.write(head_of(response, request))
        if _is_head(request) or isinstance(response.body, Events):
            await writer.drain()
        elif isinstance(response.body, bytes):
            await _write(writer, response.body)
        else:
            chunked = is_chunked(response, request)
            parts = iter(response.body)
            while (part := await self._loop.run_in_executor(self._pages, next, parts, None)) is not None:
                if part:
                    writer.write(chunk(part) if chunked else part)
                    await writer.drain()
            if chunked:
                writer.write(chunk(b""))
        # All of it has to leave before the connection is closed, or a client that reads slowly would lose the end.
        transport = writer.transport
        transport.set_write_buffer_limits(0)
        await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    def _has_room_for_stream(self, connection: _Connection) -> bool:
        streams = [each.client for each in self._open if each.state is _State.STREAMING]
        most = max(1, self._limit // _STREAMS_OF)
        of_client = max(1, int(most * _STREAMS_OF_A_CLIENT))
        return len(streams) < most and streams.count(connection.client) < of_client

    async def _stream(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        response: Response,
        events: Events,
        request: Request | None,
    ) -> None:
        """Send events until the client goes, says something more, or does not take them in time."""
        loop = self._loop
        assert loop is not None
        reader, writer = client
        news = asyncio.Event()
        chunked = is_chunked(response, request)

        def wake() -> None:
            try:
                loop.call_soon_threadsafe(news.set)
            except RuntimeError:  # the endpoint is closed
                pass

        subscription = events.subscribe(wake)
        gone = loop.create_task(reader.read(1))
        gone.add_done_callback(lambda _: news.set())
        try:
            writer.transport.set_write_buffer_limits(0)
            writer.write(head_of(response, request))
            while not gone.done():
                news.clear()
                data = await loop.run_in_executor(self._pages, subscription.take)
                if data:
                    async with _Deadline(ANSWER_SECONDS):
                        await _write(writer, chunk(data) if chunked else data)
                await news.wait()
        finally:
            gone.cancel()
            subscription.close()

    def end_streams(self) -> None:
        """Cut all streams of events; who may still read them connects again. For any thread."""

        def cut() -> None:
            for each in self._open:
                if each.state is _State.STREAMING and each.task is not None:
                    each.task.cancel()

        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(cut)
            except RuntimeError:  # the endpoint is closed
                pass


def _is_head(request: Request | None) -> bool:
    return request is not None and request.method == "HEAD"


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    """In pieces: whatever is written is copied until the client takes it, and many clients may not."""
    view = memoryview(data)
    for start in range(0, len(view), _PIECE_BYTES):
        writer.write(view[start : start + _PIECE_BYTES])
        await writer.drain()


def _sent(writer: asyncio.StreamWriter) -> bool:
    return not writer.transport.get_write_buffer_size()


async def _request(reader: asyncio.StreamReader, client: str) -> tuple[Request | None, Response | None]:
    """The request, or the answer to one that is none. Raises EOFError where nothing came."""
    received = bytearray()
    try:
        while (end := received.find(b"\r\n\r\n")) < 0:
            check_size(received)
            data = await reader.read(4096)
            if not data:
                raise EOFError("closed before the request was complete")
            received += data
        check_size(received[:end])
        return parse(bytes(received[:end]), client), None
    except BadRequestError as error:
        return None, text(error.status, error.status.phrase)


def text(status: HTTPStatus, message: str) -> Response:
    """A line of text as an answer."""
    return Response(message.encode("utf-8", "replace") + b"\n", status=status)


class _Deadline:
    """`asyncio.timeout`, which Python has from 3.11 on: cancels the task and turns that into TimeoutError."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._fired = False

    def _fire(self, task: asyncio.Task[object]) -> None:
        self._fired = True
        task.cancel()

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handle = asyncio.get_running_loop().call_later(self._seconds, self._fire, task)

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._handle.cancel()
        if self._fired and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError("too slow")
