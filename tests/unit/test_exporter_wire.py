# SPDX-License-Identifier: Apache-2.0
"""What crosses between reader and exporter arrives as it was, but for what must not cross."""

from __future__ import annotations

import queue
import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.agent.carried import Carried, files_of
from otel_jb.agent.walked import Lines, Walked, Walker, Walks, packed, unpacked
from otel_jb.agent.wire import MAX_UP_BYTES, Wire
from otel_jb.config.web import TlsServer, WebConfig
from otel_jb.model import stream
from otel_jb.model.stream import NestedCall, Series, SlowCall
from otel_jb.stacks.unwinder import Stacks
from tests import telemetry_samples as samples
from tests.scale import patience

SERIES = samples.PUT
INNER, DOUBTFUL, ELSEWHERE = (NestedCall(SERIES.id, frame, 110, 120) for frame in (90, 91, 92))
CALL = replace(
    SlowCall(SERIES.id, 7, "worker", 100, 100, 200, 160, 0xFFFF800000000000, -1, None),
    stack=(1, 2),
    stack_pointer=80,
    instruction_pointer=81,
    frame_pointer=82,
    link_register=83,
    stack_copy=b"secret",
    nested=(INNER, DOUBTFUL),
    nested_doubtful=2,
    nested_omitted=3,
    stream_name="live/cam0",
    ssrc=0x1A2B3C4D,
    packets=(stream.PassedPacket(5, 6, 7, 8, "stray", 90000, "late", 9),),
    late=True,
    cpu_ns=84,
    run_delay_ns=85,
    blocked_ns=86,
    may_yield=True,
)


@contextmanager
def ends() -> Iterator[tuple[Wire, Wire]]:
    reader, exporter = socket.socketpair()
    found = Wire(reader, up=False), Wire(exporter, up=True)
    yield found
    for each in found:
        each.close()


def test_every_kind_of_record_arrives_as_it_was_sent() -> None:
    """Each record of the stream is equal on the other side."""
    records = [
        *(samples.SRS, samples.PUT, samples.snapshot(samples.snapshot_of(samples.PUT, [5, 7]))),
        stream.ProbeStatus(1, "f", "file", "p", stream.ProbeState.SHED, "why"),
        stream.HostShare(1, 2, 3, None, 5, ((6, 7),), ()),
        stream.TargetEnded(1, 2),
        stream.AgentCost((("stepped", 1e-5),)),
    ]
    with ends() as (reader, exporter):
        for record in records:
            reader.send(("record", record))
            assert exporter.receive() == ("record", record)


def test_a_slow_call_crosses_without_what_it_saw_of_the_stack() -> None:
    """Everything of the call arrives but what has been walked: the target's stack and registers, and calls on other stacks."""
    of_walk = {"stack": (), "stack_copy": b"", "stack_pointer": 0}
    of_walk |= dict.fromkeys(("instruction_pointer", "frame_pointer", "link_register"), 0)
    assert all(getattr(CALL, each.name) not in ((), b"", 0) for each in fields(SlowCall)), (
        "one that would not be missed"
    )
    data = packed([Walked(CALL, 4, None, (INNER,), 2)])
    assert b"secret" not in data
    (told,) = unpacked(data, {4: ("put", "main")})
    sent = replace(CALL, nested=(INNER,), **of_walk)  # type: ignore[arg-type]
    assert [getattr(told, each.name) for each in fields(SlowCall)] == [
        getattr(sent, each.name) for each in fields(SlowCall)
    ]
    assert (told.lines, told.around) == (("put", "main"), None)


def test_packets_that_calls_have_in_common_cross_once() -> None:
    """Each call has its own, in their order; what is sent of a packet does not grow with the calls that have it."""
    packets = [stream.PassedPacket(5, number, 7, 8, "in_order", 90000, "played", 9) for number in range(39)]
    calls = [replace(CALL, frame=first, packets=tuple(packets[first : first + 24])) for first in range(16)]
    data = packed([Walked(call, 4, None, (), 0) for call in calls])
    told = unpacked(data, {})
    assert [call.packets for call in told] == [call.packets for call in calls]
    assert len({id(packet) for call in told for packet in call.packets}) == len(packets)
    assert data.count(b"in_order") <= len(packets)


PACKETS = [stream.PassedPacket(5, number, 160 * number, 7, "in_order") for number in range(12)]


@given(
    st.lists(
        st.builds(lambda begin, end: PACKETS[begin:end], st.integers(0, 12), st.integers(0, 12))
        | st.lists(st.sampled_from(PACKETS), max_size=6),
        max_size=8,
    )
)
def test_calls_have_their_packets_on_the_other_side(every: list[list[stream.PassedPacket]]) -> None:
    """Whether they have them in common, one after the other, or not."""
    calls = [replace(CALL, packets=tuple(packets)) for packets in every]
    told = unpacked(packed([Walked(call, 4, None, (), 0) for call in calls]), {})
    assert [call.packets for call in told] == [call.packets for call in calls]


@pytest.mark.parametrize(
    "sent", [struct.pack("<I", MAX_UP_BYTES + 1), struct.pack("<I", 3) + b"{]}", b"\x02\x00\x00\x00\xff\xff"]
)
def test_what_an_exporter_says_that_is_no_message_is_an_error(sent: bytes) -> None:
    """A message that is too long, or no JSON, raises ValueError at once: nothing of it is kept or unpickled."""
    ours, theirs = socket.socketpair()
    reader = Wire(ours, up=False)
    theirs.sendall(sent)
    with pytest.raises(ValueError, match=r"message|Expecting|decode"):
        reader.receive()
    reader.close()
    theirs.close()


def test_a_half_message_is_the_end() -> None:
    """An exporter that dies within a message has ended, like one that dies between two."""
    for sent in (b"", b"\x05", struct.pack("<I", 5) + b"{}"):
        ours, theirs = socket.socketpair()
        reader = Wire(ours, up=False)
        theirs.sendall(sent)
        theirs.close()
        assert reader.receive() is None
        reader.close()


class _Stacks:
    """Says of each call that its thread's name is its only line."""

    def symbolise(self, _: Series, call: SlowCall) -> Sequence[str]:
        return (call.thread_name,)

    def around(self, _: Series, call: SlowCall) -> Sequence[int]:
        if call.thread_name == "defect":
            raise RuntimeError
        return (call.frame + 1,)

    def same_stack(self, pid: int, _: SlowCall, inner: NestedCall) -> bool | None:
        return {INNER: True, DOUBTFUL: None, ELSEWHERE: False}[inner] if pid == 42 else None


def test_what_stacks_mean_is_known_where_spans_are_made() -> None:
    """Lines cross once for all calls of one shape; a call that is not known has its function's name; a defect costs one call."""
    walks, sent, lost, came = Walks(), list[Mapping[int, Lines]](), list[int](), threading.Event()
    arrived: list[SlowCall] = []

    def take(batch: Sequence[Walked], lines: Mapping[int, Lines]) -> None:
        arrived.extend(walks.take(packed(batch), lines))
        sent.append(lines)
        came.set()

    walker = Walker(
        cast(Stacks, _Stacks()), lambda number: (SERIES, 42) if number == SERIES.id else None, take, lost.append
    )
    seen = replace(CALL, nested=(INNER, DOUBTFUL, ELSEWHERE))
    others = [replace(seen, start_ns=number) for number in range(3)]
    for call in (seen, *others, replace(CALL, series=99), replace(CALL, thread_name="defect")):
        walker.take(call)
    walker.finish(10)
    assert came.is_set()
    assert [lines for each in sent for lines in each.values()] == [("worker",)]
    assert lost == [1]
    assert [call.start_ns for call in arrived] == [each.start_ns for each in (seen, *others)]
    for call in arrived:
        assert (call.nested, call.nested_doubtful) == ((INNER,), 1)
        assert walks.symbolise(SERIES, call) == ("worker",)
        assert walks.around(SERIES, call) == (101,)
        assert walks.same_stack(42, call, call.nested[0])
    assert walks.same_stack(
        42, replace(CALL, frame=101), NestedCall(SERIES.id, 100, 100, 200)
    )  # by the inner one's own stack
    (unknown,) = walks.take(packed([Walked(replace(CALL, start_ns=-1), 99, (), (), 0)]), {})
    assert walks.symbolise(SERIES, unknown) == (SERIES.function,)
    assert walks.around(SERIES, unknown) == ()
    assert walks.same_stack(42, unknown, NestedCall(1, 2, 3, 4)) is None


def test_slow_calls_are_walked_in_rows() -> None:
    """The walker sleeps until the tick of its owner, or until there are many; a tick without calls wakes nobody."""
    rows: queue.Queue[int] = queue.Queue()
    walker = Walker(
        cast(Stacks, _Stacks()), lambda _: (SERIES, 42), lambda batch, _: rows.put(len(batch)), lambda _: None
    )
    walker.tick()
    for _ in range(3):
        walker.take(CALL)
    with pytest.raises(queue.Empty):
        rows.get(timeout=0.2)
    walker.tick()
    assert rows.get(timeout=patience(30)) == 3
    for _ in range(256):
        walker.take(CALL)
    assert rows.get(timeout=patience(30)) > 0
    walker.finish(patience(30))
    assert not walker._waiting


def test_a_file_that_cannot_be_read_is_used_from_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the exporter may not read it reads under another path, and speaks of by its own name; what it may, stays where it is."""
    key, cert = tmp_path / "key", tmp_path / "cert"
    key.write_text("a key")
    cert.write_text("a certificate")
    web = WebConfig(TlsServer(str(cert), str(key)))
    from otel_jb.config import environment
    from otel_jb.config.model import Config
    from otel_jb.model.errors import ConfigError

    config = Config()
    settings = environment.read({"OTEL_EXPORTER_OTLP_CERTIFICATE": str(cert)}, config.otlp, config.otlp_command_line)
    carried = Carried(files_of(settings, web))
    readable: Any = lambda path, _mode: path != str(key)  # noqa: E731 - root may read everything
    monkeypatch.setattr("os.access", readable)
    tls = carried.web(web).tls_server_config
    assert tls.cert_file == str(cert)
    assert tls.key_file != str(key)
    assert Path(tls.key_file).read_text() == "a key"
    assert carried.settings(settings).metrics.certificate == str(cert)
    assert carried.contents(settings) == {str(cert): b"a certificate"}
    assert carried.own_names(ConfigError(f"bad: {tls.key_file}")).message == f"bad: {key}"
    carried.close()
    assert not Path(tls.key_file).exists()
