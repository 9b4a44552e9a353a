# SPDX-License-Identifier: Apache-2.0
"""The shipped profiles: that they say what the programs do, checked on fake memory and on the real libspeexdsp."""

from __future__ import annotations

import ctypes
import dataclasses
import re
from pathlib import Path
from random import Random
from typing import Any

import pytest

import otel_jb.catalog
from otel_jb.catalog import Catalog, FunctionProfile, Match, Role, check, load
from otel_jb.catalog.expression import Text
from otel_jb.catalog.layouts import Findings
from otel_jb.catalog.spec import (
    AddSpec,
    EvidenceSpec,
    FunctionSpec,
    LayoutSpec,
    MarkerSpec,
    OutcomeSpec,
    ProfileSpec,
    ReturnType,
    UretprobeSpec,
    VersionSpec,
)
from otel_jb.elf.types import Field
from otel_jb.model.plan import Symbol, SymbolSource
from otel_jb.model.reads import MAX_DROP_REASONS, MAX_FIELDS, MAX_OPS, Op, Outcome
from tests.unit import readvm
from tests.unit.readvm import Memory

LATE, ERROR = Outcome.DROP, Outcome.DROP + 1


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load()


#: Files that show the versions whose layouts the profiles have: Debian 12's FFmpeg, oRTP, libre and speexdsp.
KNOWN = Findings(
    build_id="df18b6c39abea2b7b2a574bf760fd839f74baf7a",
    symbols=frozenset({"jitter_buffer_put", "jitter_buffer_update_delay", "packet_sequencer_insert"}),
    strings=frozenset({"1.22.0", "rtp_jitter_buffer_flush", "10.5.3.5"}),
    versions={"Lavf": ("59.27.100",), "oRTP-": ("5.1.64",), "libre v": ("1.1.0",), "SRS/": ("4.0.126",)},
)


def function(catalog: Catalog, name: str, profile: str | None = None, found: Findings = KNOWN) -> FunctionProfile:
    """The function as it is in a file that shows this."""
    known = next(f for f in catalog.functions() if f.name == name and profile in (None, f.profile))
    return catalog.place([Match(Symbol(name, 0, 0, SymbolSource.SYMTAB, name), known)], found)[0].function


#: Of SRS 7.0.128, as gdb prints them (`ptype /o`).
SRS = Findings(
    {
        "SrsRtpPacket": {"actual_buffer_size_": Field(208, 4, True), "header_.sequence_": Field(20, 2, False)},
        "SrsRtcConsumer": {
            "queue_._M_impl._M_start": Field(16, 8, False),
            "queue_._M_impl._M_finish": Field(24, 8, False),
        },
        "SrsRtcFrameBuilderAudioPacketCache": {
            "audio_buffer_._M_t._M_impl._M_node_count": Field(48, 8, False),
            "last_audio_seq_num_": Field(56, 2, False),
            "initialized_": Field(72, 1, False),
        },
    }
)


def in_srs(catalog: Catalog, name: str) -> FunctionProfile:
    """The function as it is in SRS 7.0.128."""
    return function(catalog, name, found=SRS)


def test_no_shipped_profile_assumes_where_a_field_is(catalog: Catalog) -> None:
    """Every field is named, so that its place takes evidence; no expression reads memory at a distance that it states itself."""
    for profile in catalog.profiles:
        for struct, fields in profile.structs.items():
            assert all(place.paths and place.offset is None for place in fields.values()), (profile.profile, struct)
    shipped = sorted(Path(otel_jb.catalog.__file__).parent.glob("profiles/*.yaml"))
    assert len(shipped) == len(catalog.profiles)
    for path in shipped:
        assert not re.search(r"@ *\(?[\w.>-]*\)? *[+-] *\d", path.read_text()), path.name


@pytest.mark.parametrize(
    "name",
    [
        "rtp_session_rtp_parse",
        "jbuf_put",
        "jb_put",
        "pjmedia_jbuf_put_frame3",
        "jitter_buffer_put",
        "rtp_jitter_buffer_pop",
    ],
)
def test_a_file_that_shows_no_version_has_no_value_of_a_field(catalog: Catalog, name: str) -> None:
    """Without evidence nothing is read from a struct, and each value that is absent has its reason."""
    unknown = function(catalog, name, found=Findings(problem="it has no debug information"))
    assert not unknown.has_depth
    assert not any(
        operation.op is Op.READ and operation.imm for operation in (*unknown.program.entry, *unknown.program.end)
    )
    assert "install its debug symbols" in " ".join(unknown.absent)


def test_every_shipped_profile_is_sound(catalog: Catalog) -> None:
    """Each function compiles within the kernel's bounds, and each role of a profile has a primary function."""
    for profile in catalog.profiles:
        check(profile)
    for known in catalog.functions():
        assert len(known.program.entry) <= MAX_OPS
        assert len(known.program.end) <= MAX_OPS
        assert len(known.program.fields) <= MAX_FIELDS
        assert len(known.drop_reasons) <= MAX_DROP_REASONS
        assert not (known.may_yield and known.uretprobe)
        assert not (known.may_yield and known.uretprobe_forbidden is None)
    roles = {(f.profile, f.role) for f in catalog.functions()}
    assert roles == {(f.profile, f.role) for f in catalog.functions() if f.primary}


def test_packets_are_counted_where_they_pass(catalog: Catalog) -> None:
    """In the shipped profiles the roles of which docs/profiles.md says that they handle a packet count packets, and no others do."""
    counting = {known.role for known in catalog.functions() if known.has_packets}
    assert counting == {"put", "get", "parse", "decode"}


BY_RETURN = OutcomeSpec("drop", Text.from_yaml_at("ret < 0", "here"), "full")
BY_ARGUMENT = OutcomeSpec("drop", Text.from_yaml_at("arg1 == 0", "here"), "full")


@pytest.mark.parametrize(
    ("spec", "belief", "counts"),
    [
        (FunctionSpec("f", Role.PUT), {}, True),
        (FunctionSpec("f", Role.RESET), {}, False),
        (FunctionSpec("f", Role.PUT, packets=False), {}, False),
        (FunctionSpec("f", Role.RESET, packets=True), {}, True),
        # A part of a function, and a clone whose arguments may be others.
        (FunctionSpec("f", Role.PUT), {"whole": False}, False),
        (FunctionSpec("f", Role.PUT), {"trusted": False}, True),
        (FunctionSpec("f", Role.PUT, packet_when=Text.from_yaml_at("arg1 != 0", "here")), {"trusted": False}, False),
        (FunctionSpec("f", Role.PUT, returns=ReturnType("i32"), outcomes=(BY_RETURN,)), {"trusted": False}, True),
        (FunctionSpec("f", Role.PUT, returns=ReturnType("i32"), outcomes=(BY_ARGUMENT,)), {"trusted": False}, False),
        (
            FunctionSpec("f", Role.PUT, returns=ReturnType("i32"), outcomes=(BY_RETURN,)),
            {"trusted": False, "return_trusted": False},
            False,
        ),
    ],
)  # fmt: skip
def test_packets_are_counted_only_where_each_call_can_be_judged(
    spec: FunctionSpec, belief: dict[str, Any], counts: bool
) -> None:
    """A function counts packets by its role or its profile's word, and not where a rule about them cannot be believed."""
    assert FunctionProfile("p", "f", spec.role.value, True, spec, **belief).has_packets is counts


def test_a_function_reads_nothing_it_does_not_use(catalog: Catalog) -> None:
    """A program that neither emits nor decides anything is empty, so the kernel skips it."""
    for known in catalog.functions():
        if not (
            known.spec.stream
            or known.has_bytes
            or known.spec.outcomes
            or known.spec.opens
            or known.spec.closes
            or known.spec.empties
        ):
            assert known.program.entry == ()
            assert known.program.end == ()


CONTEXT, POINTER, BUFFER = 0x5000, 0x8000, 0x9000


class FFmpeg:
    """Memory of one RTPDemuxContext and one packet, and a call of ff_rtp_parse_packet on it."""

    def __init__(self, known: FunctionProfile, *, last: int = 100, queued: int = 0, queue_size: int = 500) -> None:
        self.known = known
        self.memory = Memory()
        self.memory.write(CONTEXT + 24, last.to_bytes(2, "little"))
        self.memory.write(CONTEXT + 544, (0x7000 if queued else 0).to_bytes(8, "little"))
        self.memory.write(CONTEXT + 552, queued.to_bytes(4, "little"))
        self.memory.write(CONTEXT + 556, queue_size.to_bytes(4, "little"))

    def call(
        self,
        returned: int,
        *,
        sequence: int = 101,
        second: int = 0x08,
        first: int = 0x80,
        length: int = 172,
        taken: bool = False,
        queued: int = 0,
        last: int | None = None,
    ) -> readvm.Call:
        self.memory.write(POINTER, BUFFER.to_bytes(8, "little"))
        self.memory.write(BUFFER, bytes([first, second]) + sequence.to_bytes(2, "big"))
        arguments = [
            CONTEXT,
            0x1234,
            POINTER,
            0xABCD_0000_0000 + length,
        ]  # only the low half of an int argument is defined
        call = readvm.entry(self.known.program, arguments, self.memory)
        if taken:
            self.memory.write(POINTER, bytes(8))
        self.memory.write(CONTEXT + 552, queued.to_bytes(4, "little"))
        if last is not None:
            self.memory.write(CONTEXT + 24, last.to_bytes(2, "little"))
        return readvm.end(self.known.program, call, returned & 0xFFFF_FFFF, self.memory)


@pytest.fixture
def ffmpeg(catalog: Catalog) -> FFmpeg:
    return FFmpeg(function(catalog, "ff_rtp_parse_packet"))


@pytest.mark.parametrize("returned", [0, 1, -11])
def test_ffmpeg_packet_in_order_is_a_packet(ffmpeg: FFmpeg, returned: int) -> None:
    """A parsed packet counts with its bytes after two reads and few operations, whether or not the frame is complete (EAGAIN)."""
    call = ffmpeg.call(returned, last=101)
    assert (call.outcome, call.bytes, call.depths, call.stream) == (Outcome.PACKET, 172, [0], CONTEXT)
    assert ffmpeg.memory.reads == 2
    assert call.steps <= 20


def test_ffmpeg_enqueued_packet_is_no_drop(ffmpeg: FFmpeg) -> None:
    """-1 with the buffer taken by the queue is a packet, and the depth is that of the queue afterwards."""
    call = ffmpeg.call(-1, sequence=103, taken=True, queued=7)
    assert (call.outcome, call.bytes, call.depths) == (Outcome.PACKET, 172, [7])


@pytest.mark.parametrize(("second", "returned"), [(200, -1), (201, -1), (203, -203), (192, -1), (195, -1), (210, -1)])
def test_ffmpeg_rtcp_is_no_packet(ffmpeg: FFmpeg, second: int, returned: int) -> None:
    """RTCP, BYE among it, is neither a packet nor a drop."""
    assert ffmpeg.call(returned, second=second).outcome == Outcome.NO_PACKET


def test_ffmpeg_late_packet_is_dropped_as_late(ffmpeg: FFmpeg) -> None:
    """-1 for a packet older than the last one handed out, while reordering is on, is a drop: late; also over the wrap."""
    assert ffmpeg.call(-1, sequence=98).outcome == LATE
    ffmpeg.memory.write(CONTEXT + 24, (2).to_bytes(2, "little"))
    assert ffmpeg.call(-1, sequence=65534).outcome == LATE
    assert ffmpeg.known.drop_reasons == ("late", "error")


def test_ffmpeg_invalid_packet_is_dropped_as_error(catalog: Catalog, ffmpeg: FFmpeg) -> None:
    """A packet that is refused for another reason is a drop: error, whatever its sequence number is."""
    assert ffmpeg.call(-1, sequence=101).outcome == ERROR
    assert ffmpeg.call(-1, sequence=98, first=0x00).outcome == ERROR
    assert ffmpeg.call(-1094995529, sequence=101).outcome == ERROR
    without_queue = FFmpeg(function(catalog, "ff_rtp_parse_packet"), queue_size=0)
    assert without_queue.call(-1, sequence=98).outcome == ERROR


@pytest.mark.parametrize("second", [191, 196, 199, 211, 0x88, 0x08])
def test_ffmpeg_payload_types_beside_rtcp_are_packets(ffmpeg: FFmpeg, second: int) -> None:
    """Only 192 to 195 and 200 to 210 are RTCP; a marker bit and payload types beside them are not."""
    assert ffmpeg.call(-1, sequence=98, second=second).outcome == LATE


@pytest.mark.parametrize("pointer", [0, POINTER])
def test_ffmpeg_drain_call_is_no_packet(ffmpeg: FFmpeg, pointer: int) -> None:
    """A call without a buffer takes a packet from the queue: no packet, no bytes, but the depth is read."""
    ffmpeg.memory.write(POINTER, bytes(8))
    ffmpeg.memory.write(CONTEXT + 552, (3).to_bytes(4, "little"))
    call = readvm.entry(ffmpeg.known.program, [CONTEXT, 0x1234, pointer, 0], ffmpeg.memory)
    call = readvm.end(ffmpeg.known.program, call, 1, ffmpeg.memory)
    assert (call.outcome, call.bytes, call.depths) == (Outcome.NO_PACKET, 0, [3])


def test_ffmpeg_errors_are_real_ones(ffmpeg: FFmpeg) -> None:
    """-1, EAGAIN and BYE are no failures of the call; other negative returns are."""
    ranges = ffmpeg.known.error_return
    failed = {value for value in range(-300, 3) if any(low <= value <= high for low, high in ranges)}
    assert failed == set(range(-300, 0)) - {-1, -11, -203}


def test_ffmpeg_needs_four_argument_registers_at_most(ffmpeg: FFmpeg) -> None:
    """The entry site must keep arguments 1, 3 and 4."""
    assert ffmpeg.known.argument_registers == {1, 3, 4}
    assert ffmpeg.known.uses_return


def test_ffmpeg_buffer_opens_and_closes(catalog: Catalog) -> None:
    """A context that was made is a live buffer with nothing in it, one that failed is none, one that is closed no more."""
    opened = function(catalog, "ff_rtp_parse_open").program
    assert readvm.end(opened, readvm.entry(opened, [1, 2], Memory()), CONTEXT, Memory()).opened == [CONTEXT]
    assert readvm.end(opened, readvm.entry(opened, [1, 2], Memory()), 0, Memory()).opened == []
    closed = function(catalog, "ff_rtp_parse_close").program
    assert readvm.entry(closed, [CONTEXT], Memory()).closed == [CONTEXT]


class JitterBufferPacket(ctypes.Structure):
    """Of speex_jitter.h."""

    _fields_ = (
        ("data", ctypes.c_char_p),
        ("len", ctypes.c_uint32),
        ("timestamp", ctypes.c_uint32),
        ("span", ctypes.c_uint32),
        ("sequence", ctypes.c_uint16),
        ("user_data", ctypes.c_uint32),
    )


class OwnMemory(Memory):
    """The memory of this very process."""

    def read(self, address: int, size: int) -> bytes | None:
        self.reads += 1
        return ctypes.string_at(address, size)


def test_speexdsp_drops_are_those_of_the_real_library(catalog: Catalog) -> None:
    """On the installed libspeexdsp, under loss, reordering and lateness, each put's outcome matches what the buffer then holds."""
    library = ctypes.CDLL("libspeexdsp.so.1")
    library.jitter_buffer_init.restype = ctypes.c_void_p
    library.jitter_buffer_init.argtypes = [ctypes.c_int]
    library.jitter_buffer_put.restype = None
    library.jitter_buffer_put.argtypes = [ctypes.c_void_p, ctypes.POINTER(JitterBufferPacket)]
    library.jitter_buffer_get.argtypes = [
        ctypes.c_void_p,
        ctypes.POINTER(JitterBufferPacket),
        ctypes.c_int,
        ctypes.c_void_p,
    ]
    library.jitter_buffer_tick.argtypes = [ctypes.c_void_p]
    library.jitter_buffer_destroy.argtypes = [ctypes.c_void_p]
    put, get = function(catalog, "jitter_buffer_put").program, function(catalog, "jitter_buffer_get").program
    buffer = library.jitter_buffer_init(160)
    memory, random = OwnMemory(), Random(5)
    outcomes: dict[int, int] = {}
    got: dict[int, int] = {}
    payload = ctypes.create_string_buffer(4096)
    for step in range(3000):
        for delay in (0, 40) if random.random() < 0.1 else (0,):
            if random.random() < 0.1:
                continue
            length = random.randrange(1, 300)
            packet = JitterBufferPacket(b"x" * length, length, max(0, step - delay) * 160, 160, step & 0xFFFF, step)
            arguments = [buffer, ctypes.addressof(packet)]
            call = readvm.entry(put, arguments, memory)
            library.jitter_buffer_put(buffer, ctypes.byref(packet))
            call = readvm.end(put, call, 0xDEAD, memory)
            held = {
                int.from_bytes(ctypes.string_at(buffer + 16 + 32 * slot + 24, 4), "little")
                for slot in range(200)
                if any(ctypes.string_at(buffer + 16 + 32 * slot, 8))
                and int.from_bytes(ctypes.string_at(buffer + 16 + 32 * slot + 12, 4), "little") == packet.timestamp
                and int.from_bytes(ctypes.string_at(buffer + 16 + 32 * slot + 8, 4), "little") == length
            }
            assert call.bytes == length
            assert (call.outcome == Outcome.PACKET) == (step in held), (step, delay)
            outcomes[call.outcome] = outcomes.get(call.outcome, 0) + 1
        if step > 5:
            for _ in range(1 if random.random() < 0.98 else 30):
                out = JitterBufferPacket(ctypes.cast(payload, ctypes.c_char_p), 4096, 0, 0, 0, 0)
                call = readvm.entry(get, [buffer, ctypes.addressof(out)], memory)
                returned = library.jitter_buffer_get(buffer, ctypes.byref(out), 160, None)
                call = readvm.end(get, call, returned & 0xFFFF_FFFF, memory)
                assert (call.outcome == Outcome.PACKET) == (returned == 0)
                assert call.bytes == (out.len if returned == 0 else 0)
                got[returned] = got.get(returned, 0) + 1
                library.jitter_buffer_tick(buffer)
    library.jitter_buffer_destroy(buffer)
    assert outcomes[Outcome.PACKET] > 1000
    assert outcomes[LATE] > 50
    assert got[0] > 500
    assert got[1] > 50


DOCUMENT = Path(__file__).parents[2] / "docs" / "profiles.md"


def test_the_documented_profile_works(tmp_path: Path) -> None:
    """The example in the documentation is a sound profile, and its rules mean what is said beside them."""
    text = DOCUMENT.read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(text.split("```yaml\n", 1)[1].split("```", 1)[0])
    insert = function(load([path]), "MyBuffer::insert", "my-server")
    memory = Memory({0x100: bytes(8) + (4).to_bytes(4, "little") + bytes(2) + (900).to_bytes(2, "little")})
    memory.write(0x200, bytes(2) + (899).to_bytes(2, "little") + bytes(4) + (172).to_bytes(4, "little"))
    outcomes = {}
    for returned in (0, 1, -2):
        call = readvm.entry(insert.program, [0x100, 0x200], memory)
        call = readvm.end(insert.program, call, returned & 0xFFFF_FFFF, memory)
        assert (call.bytes, call.depths) == (172, [4])
        outcomes[returned] = call.outcome
    assert outcomes == {0: Outcome.PACKET, 1: Outcome.DUPLICATE, -2: Outcome.DROP}


def test_every_key_and_profile_is_documented(catalog: Catalog) -> None:
    """The documentation names each key of a profile and each shipped profile, with what it can tell."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for schema in (
        ProfileSpec,
        FunctionSpec,
        OutcomeSpec,
        AddSpec,
        MarkerSpec,
        UretprobeSpec,
        LayoutSpec,
        EvidenceSpec,
        VersionSpec,
    ):
        for item in dataclasses.fields(schema):
            if not item.metadata.get("line"):
                name = item.metadata.get("key", item.name)
                assert re.search(rf"`{name}`|\{{{name}: ", text), name
    for role in Role:
        assert f"`{role.value}`" in text
    for profile in catalog.profiles:
        known = [f for f in catalog.functions() if f.profile == profile.profile]
        row = next(line for line in text.splitlines() if line.startswith(f"| `{profile.profile}` |")).split("|")[1:-1]
        reasons = sorted({reason for f in known for reason in f.drop_reasons})
        if any(f.has_duplicates for f in known):
            reasons.append("(duplicates)")
        if any(f.has_underruns for f in known):
            reasons.append("(underruns)")
        assert [cell.strip() for cell in row[1:]] == [
            profile.title,
            ", ".join(reasons) or "–",
            "yes" if any(f.has_bytes for f in known) else "–",
            "yes" if any(f.has_depth for f in known) else "–",
        ]


@pytest.mark.parametrize(
    ("first", "late", "full", "outcome", "size"),
    [
        (0x80, 0, 0, Outcome.PACKET, 172),
        (0x80, 1, 0, Outcome.DROP, 172),
        (0x80, 0, 1, Outcome.DROP + 1, 172),
        (0x00, 0, 0, Outcome.NO_PACKET, 0),
    ],
)
def test_ortp_counters_tell_what_became_of_a_packet(
    catalog: Catalog, first: int, late: int, full: int, outcome: int, size: int
) -> None:
    """A session's counters, compared over the call, tell late and overflow; STUN on the same port is no packet."""
    known = function(catalog, "rtp_session_rtp_parse")
    session, message, data = 0x10000, 0x20000, 0x30000
    memory = Memory({session: bytes(5000), data: bytes([first])})
    memory.write(message + 32, data.to_bytes(8, "little") + (data + 172).to_bytes(8, "little"))
    memory.write(session + 4560, (7).to_bytes(8, "little"))
    call = readvm.entry(known.program, [session, message], memory)
    memory.write(session + 4560, (7 + late).to_bytes(8, "little"))
    memory.write(session + 4584, full.to_bytes(8, "little"))
    memory.write(session + 2064, (4).to_bytes(4, "little"))
    call = readvm.end(known.program, call, 0, memory)
    assert (call.outcome, call.bytes, call.depths, call.stream) == (outcome, size, [4], session + 1832)
    assert known.drop_reasons == ("late", "full")


def test_srs_player_queue_is_read_by_its_vector(catalog: Catalog) -> None:
    """A player's queue: its depth is the vector's length, an empty take is no packet, a packet has the size that it bears."""
    known = in_srs(catalog, "SrsRtcConsumer::dump_packet")
    consumer, place, packet = 0x1000, 0x2000, 0x3000
    memory = Memory({consumer + 16: (0x9000).to_bytes(8, "little") + (0x9000 + 5 * 8).to_bytes(8, "little")})
    memory.write(packet + 208, (1200).to_bytes(4, "little"))
    memory.write(0x9000, packet.to_bytes(8, "little"))
    for waiting, outcome, size, depth in (
        (5, Outcome.PACKET, 1200, 4),
        (1, Outcome.PACKET, 1200, 0),
        (0, Outcome.NO_PACKET, 0, 0),
    ):
        memory.write(consumer + 24, (0x9000 + waiting * 8).to_bytes(8, "little"))
        call = readvm.entry(known.program, [consumer, place], memory)
        assert (call.outcome, call.bytes, call.depths) == (outcome, size, [depth])
        assert call.moved == [packet] * (waiting > 0)
        # What it calls, for a packet only, is given the vector.
        (at_call,) = known.at_calls
        if waiting:
            there = readvm.entry(at_call.function.program, [consumer + 16], memory)
            assert (there.outcome, there.bytes, there.depths, there.moved) == (call.outcome, size, [depth], [packet])
            assert there.stream == call.stream == consumer
    assert (at_call.function.has_packets, at_call.function.has_bytes, at_call.function.has_depth) == (True, True, True)
    memory.write(consumer + 16, bytes(16))
    call = readvm.entry(known.program, [consumer, place], memory)
    assert (call.outcome, call.depths, call.fault) == (Outcome.NO_PACKET, [0], None)
    assert not known.program.end
    assert not any(f.has_depth for f in catalog.functions() if f.name.startswith("SrsRtpRingBuffer"))


@pytest.mark.parametrize(
    ("initialized", "last", "sequence", "outcome"),
    [
        (1, 100, 99, LATE),
        (1, 100, 100, Outcome.PACKET),
        (1, 100, 101, Outcome.PACKET),
        (1, 65535, 0, Outcome.PACKET),
        (1, 0, 65535, LATE),
        (1, 0, 32768, LATE),
        (0, 100, 99, Outcome.PACKET),
    ],
)
def test_a_late_packet_of_srs_audio_is_a_drop(
    catalog: Catalog, initialized: int, last: int, sequence: int, outcome: int
) -> None:
    """A packet before the last one that left is late, across the wrap too; the first one of all is not; the map says how many wait."""
    known = in_srs(catalog, "SrsRtcFrameBuilderAudioPacketCache::process_packet")
    cache, packet = 0x1000, 0x3000
    memory = Memory(
        {
            cache + 48: (7).to_bytes(8, "little"),
            cache + 56: last.to_bytes(2, "little"),
            cache + 72: bytes([initialized]),
        }
    )
    memory.write(packet + 20, sequence.to_bytes(2, "little"))
    memory.write(packet + 208, (160).to_bytes(4, "little"))
    call = readvm.entry(known.program, [cache, packet], memory)
    memory.write(cache + 56, sequence.to_bytes(2, "little"))
    call = readvm.end(known.program, call, 0, memory)
    assert (call.fault, call.outcome, call.bytes, call.depths) == (None, outcome, 160, [7])


@pytest.mark.parametrize(("returned", "outcome"), [(0, Outcome.PACKET), (0x7000, Outcome.DUPLICATE)])
def test_a_packet_that_srs_refuses_before_it_is_decrypted_came_twice(
    catalog: Catalog, returned: int, outcome: int
) -> None:
    """Its number for congestion control was there before, which is no drop."""
    known = in_srs(catalog, "SrsRtcPublishStream::on_rtp_cipher")
    call = readvm.entry(known.program, [0x1000, 0x3000, 160], Memory({}))
    call = readvm.end(known.program, call, returned, Memory({}))
    assert (call.fault, call.outcome, call.bytes) == (None, outcome, 160)


def test_coroutine_hazards_of_srs_are_all_forbidden(catalog: Catalog) -> None:
    """No function of SRS that can switch coroutines may get a return probe, and each says why."""
    yielding = {f.name for f in catalog.functions() if f.profile.startswith("srs") and f.may_yield}
    assert {
        "SrsRtcConsumer::wait",
        "SrsRtcSendTrack::on_recv_nack",
        "SrsRtcConnection::do_send_packet",
        "SrsRtcPlayStream::send_packet",
        "SrsRtcAudioSendTrack::on_rtp",
        "SrsRtcVideoSendTrack::on_rtp",
        "SrsRtcConnection::check_send_nacks",
        "SrsRtcConnection::send_rtcp_rr",
        "SrsRecoverablePsContext::decode_rtp",
        "SrsRecoverablePsContext::decode",
        "SrsPackContext::on_ts_message",
        "SrsGbSession::on_ps_pack",
        "SrsLazyGbSession::on_ps_pack",
        "SrsGbMuxer::on_ts_message",
    } == yielding
    assert all(f.uretprobe_forbidden for f in catalog.functions() if f.name in yielding or f.throws)
