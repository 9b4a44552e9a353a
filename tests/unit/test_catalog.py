# SPDX-License-Identifier: Apache-2.0
"""Matching: which functions of a file the catalog knows, by real symbol tables and by symbols made up."""

from __future__ import annotations

from pathlib import Path

import imageio_ffmpeg
import pytest

from otel_jb.catalog import Catalog, FunctionProfile, Match, load
from otel_jb.catalog.generic import role_of
from otel_jb.catalog.layouts import Findings
from otel_jb.catalog.names import PATTERNS
from otel_jb.elf.demangle import demangle
from otel_jb.elf.image import Image
from otel_jb.elf.symbols import Matcher, find
from otel_jb.elf.types import Field
from otel_jb.model.errors import ConfigError
from otel_jb.model.plan import Symbol, SymbolSource
from otel_jb.model.reads import Op, Outcome, ReadProgram

GOLDEN = Path(__file__).parent / "golden"
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load()


def symbol(name: str, *aliases: str) -> Symbol:
    base = name.split(".", maxsplit=1)[0] if name.startswith("_Z") else name
    return Symbol(name, 0x1000 + hash(name) % 10**6 * 16, 64, SymbolSource.SYMTAB, demangle(base), aliases)


def matched(
    catalog: Catalog, *names: str, soname: str | None = None, executable: str = "x"
) -> dict[str, FunctionProfile]:
    return {m.symbol.name: m.function for m in catalog.match(soname, executable, [symbol(name) for name in names])}


def real(catalog: Catalog, path: Path) -> dict[str, Match]:
    with path.open("rb") as file:
        image = Image.from_file(file)
        return {m.symbol.name: m for m in catalog.match(image.soname, path.name, find(image, catalog.patterns()))}


def test_every_function_of_the_research_is_in_a_profile(catalog: Catalog) -> None:
    """The 241 functions that were found in 20 programs are all known, or ignored with a reason."""
    lines = [line.split(" ", 1)[1] for line in (GOLDEN / "catalogue-functions.txt").read_text().splitlines()[1:]]
    known = {function.name for function in catalog.functions()}
    assert len(lines) == 241
    assert [name for name in lines if name not in known and catalog.ignored(name) is None] == []


@pytest.mark.parametrize(
    ("path", "profile", "primaries"),
    [
        (
            Path(imageio_ffmpeg.get_ffmpeg_exe()),
            "ffmpeg",
            {"ff_rtp_parse_packet": "put", "ff_rtp_parse_close": "close"},
        ),
        (LIBRARIES / "libspeexdsp.so.1", "speexdsp", {"jitter_buffer_put": "put", "jitter_buffer_get": "get"}),
        (
            LIBRARIES / "libortp.so.16",
            "ortp",
            {"rtp_putq": "put", "rtp_session_rtp_parse": "parse", "rtp_session_recvm_with_ts": "get"},
        ),
        (LIBRARIES / "libre.so.0", "libre", {"jbuf_put": "put", "jbuf_get": "get", "jbuf_flush": "reset"}),
        (Path("/usr/bin/baresip"), "libre", {}),
    ],
)
def test_installed_programs_are_recognised(
    catalog: Catalog, path: Path, profile: str, primaries: dict[str, str]
) -> None:
    """In each program as installed the profile's functions are found by their symbols, and nothing by its name alone."""
    found = real(catalog, path)
    assert {match.function.profile for match in found.values()} == {profile}
    for name, role in primaries.items():
        function = found[name].function
        assert function.role == role
        assert function.primary
        assert function.trusted
        assert function.attach_by_default


def test_stripped_libavformat_recognises_no_target(catalog: Catalog) -> None:
    """Debian's libavformat has only its public functions, none of which is attached unless it is named."""
    found = real(catalog, LIBRARIES / "libavformat.so.59")
    assert "av_read_frame" in found
    assert not any(match.function.attach_by_default for match in found.values())


@pytest.mark.parametrize(
    ("names", "soname", "executable", "profile"),
    [
        (["jitter_buffer_put"], "libspeexdsp.so.1", "mumble", "speexdsp"),
        (["jitter_buffer_put", "jitter_buffer_ctl"], None, "mumble", "speexdsp"),
        (["jitter_buffer_put"], "libother.so", "x", "generic"),
        (["jitter_buffer_new"], None, "rtpengine", "rtpengine"),
        (["jb_put", "ast_jb_put"], None, "x", "asterisk"),
        (["jb_put"], None, "asterisk", "asterisk"),
        (["jbuf_put", "jbuf_alloc"], None, "x", "libre"),
        (["jbuf_put"], None, "x", "generic"),
        (["rtp_session_destroy"], "libortp.so.16", "linphone", "ortp"),
        (["rtp_session_destroy", "rtp_dequeue"], None, "vlc", "vlc"),
    ],
)
def test_generic_names_need_a_mark(
    catalog: Catalog, names: list[str], soname: str | None, executable: str, profile: str
) -> None:
    """A name that several programs use is believed only in a file that bears a mark of one of them."""
    assert matched(catalog, *names, soname=soname, executable=executable)[names[0]].profile == profile


def test_a_generic_name_without_a_mark_or_a_verb_is_nothing(catalog: Catalog) -> None:
    """`jb_put` alone, `jitter_buffer_new` alone and `rtp_session_destroy` alone match nothing."""
    assert matched(catalog, "jb_put", "jitter_buffer_new", "rtp_session_destroy", "rtp_queue", "main") == {}


def test_an_unknown_layout_leaves_what_the_return_tells(catalog: Catalog) -> None:
    """In another version of the library neither bytes nor depth are claimed, but duplicates by return value are."""

    def in_version(version: str, name: str) -> FunctionProfile:
        matches = catalog.match("libortp.so.16", "x", [symbol(name)])
        found = Findings(versions={"oRTP-": (version,)})
        return catalog.place(matches, found)[0].function

    known = in_version("5.1.64", "rtp_putq")
    assert (known.has_bytes, known.has_depth, known.has_duplicates) == (True, True, True)
    for version in ("5.1.63", "5.2.0"):
        other = in_version(version, "rtp_putq")
        assert (other.has_bytes, other.has_depth, other.has_duplicates) == (False, False, True)
        assert other.has_packets
    older = matched(catalog, "rtp_session_rtp_parse", soname="libortp.so.13")["rtp_session_rtp_parse"]
    assert (older.drop_reasons, older.program) == ((), ReadProgram())


def test_where_an_underrun_is_not_told_it_is_a_get_without_a_packet(catalog: Catalog) -> None:
    """Without libre's layout it is not known whether the buffer is empty or fills: packets are still counted, underruns are absent, with the reason."""

    def in_version(version: str) -> FunctionProfile:
        found = Findings(versions={"libre v": (version,)})
        return catalog.place(catalog.match("libre.so.0", "x", [symbol("jbuf_get")]), found)[0].function

    known, other = in_version("1.1.0"), in_version("2.0.0")
    assert (known.has_packets, known.has_underruns, other.has_packets, other.has_underruns) == (True, True, True, False)
    outcomes = {each.imm for each in other.program.end if each.op is Op.OUTCOME}
    assert outcomes == {Outcome.NO_PACKET}
    assert outcomes < {each.imm for each in known.program.end if each.op is Op.OUTCOME} == {*outcomes, Outcome.UNDERRUN}
    assert any("underruns" in each for each in other.absent)


def test_clones_are_counted_and_timed_only(catalog: Catalog) -> None:
    """A clone may have other arguments, so nothing is read from them; a part is not even a whole call."""
    names = ["rtp_parse_packet_internal.isra.0", "rtp_parse_packet_internal.constprop.1", "ff_rtp_parse_packet.part.0"]
    found = matched(catalog, *names)
    for name in names:
        function = found[name]
        assert not function.has_bytes
        assert not function.drop_reasons
        assert not function.has_packets
        assert function.program == ReadProgram()
        assert function.error_return == ()
    assert not found["ff_rtp_parse_packet.part.0"].primary
    assert matched(catalog, "ff_rtp_parse_packet.lto_priv.0")["ff_rtp_parse_packet.lto_priv.0"].has_bytes


@pytest.mark.parametrize(
    ("mangled", "name", "profile"),
    [
        ("_ZN16SrsRtpRingBuffer3setEtP12SrsRtpPacket", "SrsRtpRingBuffer::set", "srs-rtc"),
        ("_ZN16SrsRtpRingBuffer3setEtP13SrsRtpPacket2", "SrsRtpRingBuffer::set", "srs-rtc"),
        (
            "_ZN20SrsRtcAudioRecvTrack6on_rtpER12SrsSharedPtrI12SrsRtcSourceEP12SrsRtpPacket",
            "SrsRtcAudioRecvTrack::on_rtp",
            "srs-rtc",
        ),
        ("_ZN20SrsRtcAudioRecvTrack6on_rtpEP12SrsRtcSourceP12SrsRtpPacket", "SrsRtcAudioRecvTrack::on_rtp", "srs-rtc"),
        ("_ZN14SrsRtcConsumer11dump_packetEPP12SrsRtpPacket", "SrsRtcConsumer::dump_packet", "srs-rtc"),
        (
            "_ZN21SrsRtmpFromRtcBridger12packet_videoEP12SrsRtpPacket",
            "SrsRtmpFromRtcBridger::packet_video",
            "srs-rtc2rtmp",
        ),
        ("_ZN18SrsRtpJitterBuffer12InsertPacketEtjbPciPb", "SrsRtpJitterBuffer::InsertPacket", "srs-gb28181-legacy"),
        ("_ZN18SrsRtpJitterBuffer3putEP12SrsRtpPacket", "SrsRtpJitterBuffer::put", "srs-unreleased"),
        ("_ZN12SrsRtpPacket6decodeEP9SrsBuffer", "SrsRtpPacket::decode", "srs-unreleased"),
        ("_ZN16SrsRtpRingBufferC1Ei", "SrsRtpRingBuffer::SrsRtpRingBuffer", "srs-rtc"),
        ("_ZNK3RTC20RetransmissionBuffer3GetEt", "RTC::RetransmissionBuffer::Get", "mediasoup"),
        (
            "_ZN8mediakit12PacketSortorISt10shared_ptrINS_9RtpPacketEEtE10sortPacketEtS3_",
            "mediakit::PacketSortor<std::shared_ptr<mediakit::RtpPacket>, unsigned short>::sortPacket",
            "zlmediakit",
        ),
    ],
)
def test_mangled_names_match_whatever_their_arguments(catalog: Catalog, mangled: str, name: str, profile: str) -> None:
    """A C++ function is found by its name up to the arguments, which changed between releases."""
    assert Matcher(catalog.patterns()).matches(mangled)
    found = matched(catalog, mangled)[mangled]
    assert (found.name, found.profile) == (name, profile)


def test_a_packet_of_srs_is_known_only_in_srs(catalog: Catalog) -> None:
    """`SrsRtpPacket::decode` has a size in SRS; in a program that merely has that name it is counted and timed."""
    decode, other = "_ZN12SrsRtpPacket6decodeEP9SrsBuffer", "_ZN16SrsRtpRingBuffer3setEtP12SrsRtpPacket"
    in_srs = catalog.match(None, "x", [symbol(decode), symbol(other)])
    described = Findings({"SrsBuffer": {"nb_bytes_": Field(24, 4, True)}})
    assert {m.symbol.name: m.function for m in catalog.place(in_srs, described)}[decode].has_bytes
    alone = matched(catalog, decode)[decode]
    assert not alone.has_bytes
    assert not alone.drop_reasons
    assert alone.has_packets


def test_what_is_no_jitter_buffer_is_not_matched(catalog: Catalog) -> None:
    """Time-stamp code, constructors and getters of statistics have the word in their name and are left alone."""
    names = [
        "_ZN14SrsRtcTsJitter7correctEj",
        "_ZN13SrsRtmpJitter7correctEP10SrsMessage",
        "_ZN12JitterBufferC1Ev",
        "_ZN12JitterBufferD1Ev",
        "_ZN12JitterBuffer8getStatsEv",
        "jitter_buffer_get_type",
        "jitter_buffer_get_size",
        "JitterBuffer_resetStatistics",
        "av_log",
    ]
    assert matched(catalog, *names) == {}
    assert catalog.ignored("SrsRtmpJitter::correct") is not None


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("jitterbuffer_put", "put"),
        ("jitter_buffer_get", "get"),
        ("JitterBuffer::insertPacket", "put"),
        ("my::JitterBuffer::Pop", "get"),
        ("AudioJitterBuffer<int>::push", "put"),
        ("av_jitterbuffer_get_packet", "get"),
        ("my_jbuf_flush", "reset"),
        ("rtp_parse_packet", "parse"),
        ("JitterBufferDecode", "decode"),
        ("jitter_buffer_insert_and_get", None),
        ("JitterBuffer::get_time", None),
        ("webrtc::JitterBufferDelay::GetMs", None),
        ("JitterBufferDelay::Get", None),
        ("JitterBufferStats::add", None),
        ("JitterBuffer::GetMs", None),
        ("JitterBuffer::JitterBuffer", None),
        ("jitterbuffer", None),
        ("objbuf_put", None),
        ("put_packet", None),
        ("jitterbuffer_additional", None),
        ("_wrap_JbufState_lost_get", None),
    ],
)
def test_a_name_tells_a_role_or_nothing(name: str, role: str | None) -> None:
    """A generic match needs a jitter buffer and one verb in the name, and the quick check agrees with the full search."""
    found = role_of(name)
    assert (found.value if found else None) == role
    if role is not None:
        assert Matcher(PATTERNS).matches(name) or "::" in name


def test_a_generic_match_claims_nothing(catalog: Catalog) -> None:
    """It says that it is one, reads nothing, is not attached by default, and counts packets where its role handles one."""
    found = matched(catalog, "jitterbuffer_put", "jitterbuffer_reset")
    put, reset = found["jitterbuffer_put"], found["jitterbuffer_reset"]
    assert put.generic
    assert put.profile == "generic"
    assert not put.attach_by_default
    assert put.program == ReadProgram()
    assert (put.has_packets, put.has_bytes, put.has_depth, put.drop_reasons) == (True, False, False, ())
    assert not reset.has_packets
    assert "No profile knows" in put.notes


OWN = """
profile: my-server
title: My server
only: {executable: [myserver]}
structs:
  Buffer: {count: u32 @8}
functions:
  - name: jb_insert
    also: [jb_put]
    role: put
    returns: i32
    stream: arg1
    bytes: u32 arg3
    depth: arg1->Buffer.count
    outcomes:
      - {is: drop, reason: late, when: ret == -2}
"""


def test_a_profile_of_the_user_is_used_first(tmp_path: Path) -> None:
    """A file, or a directory of files, adds profiles that win over the shipped ones."""
    (tmp_path / "mine.yaml").write_text(OWN)
    for given in (tmp_path, tmp_path / "mine.yaml"):
        own = load([given])
        found = matched(own, "jb_put", "ast_jb_put", executable="myserver")
        assert found["jb_put"].profile == "my-server"
        assert found["jb_put"].has_depth
        assert found["ast_jb_put"].profile == "asterisk"
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no profile"):
        load([tmp_path / "empty"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    role: put", "    rolle: put", "mine.yaml:10: unknown key 'rolle'; did you mean 'role'?"),
        ("role: put", "role: putt", "mine.yaml:10: unknown value 'putt'; did you mean 'put'?"),
        ("u32 arg3", "u32 arg", "mine.yaml:13: 'u32 arg': unknown name 'arg'"),
        ("u32 arg3", "u32 @", "mine.yaml:13: 'u32 @': expected a value at the end"),
        ("u32 arg3", "u32 ret", "mine.yaml:13: 'u32 ret': there is no return value at the entry"),
        ("Buffer.count", "Buffer.size", "mine.yaml:14: 'arg1->Buffer.size': unknown field Buffer.size"),
        (
            "u32 @8",
            "u33 @8",
            "mine.yaml:6: expected TYPE NAME or TYPE @OFFSET, such as i32 queue_len or i32 @552, got 'u33 @8'",
        ),
        ("    stream: arg1\n", "", "mine.yaml:13: a depth belongs to a stream: the key 'stream' is missing"),
        (
            "role: put",
            "role: put\n    times: detail",
            "mine.yaml:11: what is read at the end needs the end: everything else must be known at the entry",
        ),
        (", reason: late", "", "mine.yaml:16: a drop needs a reason, and only a drop has one"),
        ("returns: i32", "returns: void", "mine.yaml:16: 'ret == -2': the function returns nothing: give 'returns'"),
        ("returns: i32", "returns: int", "mine.yaml:11: unknown type 'int'; known: void, bool, u8"),
        (
            "ret == -2",
            "arg2 == 1 and arg4 == 2 and arg5 == 3 and arg6 == 4",
            "mine.yaml:8: jb_insert: 4 values must be kept",
        ),
        ("my-server", "My Server", "mine.yaml:2: 'My Server' is not a profile id"),
        ("[jb_put]", "[jb_insert]", "mine.yaml:8: jb_insert appears twice"),
    ],
)
def test_a_wrong_profile_names_file_and_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    """Whatever is wrong in a user's profile, the message says where and what."""
    path = tmp_path / "mine.yaml"
    assert old in OWN
    path.write_text(OWN.replace(old, new))
    with pytest.raises(ConfigError) as error:
        load([path])
    assert f"{tmp_path}/{message}" in error.value.message


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("{name: put, role: put, rtp: arg2}", "has a size that is known at the entry"),
        ("{name: put, role: put, rtp: arg2, bytes: {value: arg3, when: end}}", "has a size that is known at the entry"),
        ("{name: put, role: put, rtp: ret, bytes: arg3}", "no return value at the entry"),
    ],
)
def test_an_rtp_packet_without_a_size_is_refused(tmp_path: Path, function: str, message: str) -> None:
    """The header is read only of packets whose size is known before, so a profile must say it."""
    path = tmp_path / "mine.yaml"
    path.write_text(f"profile: mine\ntitle: mine\nfunctions:\n  - {function}\n")
    with pytest.raises(ConfigError, match=message):
        load([path])


def test_two_functions_with_rtp_are_refused(tmp_path: Path) -> None:
    """Each packet of a profile is looked at once."""
    path = tmp_path / "mine.yaml"
    functions = "".join(f"  - {{name: {name}, role: put, bytes: arg3, rtp: arg2}}\n" for name in ("one", "two"))
    path.write_text(f"profile: mine\ntitle: mine\nfunctions:\n{functions}")
    with pytest.raises(ConfigError, match="two functions with 'rtp'"):
        load([path])
