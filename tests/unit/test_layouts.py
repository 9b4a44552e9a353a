# SPDX-License-Identifier: Apache-2.0
"""Which source says where a field is: debug information, evidence, or none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otel_jb.catalog import Catalog, FunctionProfile
from otel_jb.catalog.layouts import Findings, placed
from otel_jb.catalog.spec import ProfileSpec
from otel_jb.config import yamlfile
from otel_jb.elf.types import Field
from otel_jb.model.errors import ConfigError
from otel_jb.model.plan import Symbol, SymbolSource
from otel_jb.model.reads import SIGNED

PROFILE = """
profile: server
title: A server
structs:
  Packet: {size: i32 size_ | len, sequence: u16 header.sequence}
  Queue: {count: u64 count}
layouts:
  - evidence: {version: {prefix: server/, from: 1.9.0, to: "1.10"}}
    fields: {Packet: {size: 16}}
  - evidence: {symbols: [_ZTV6Packet], without: [packet_old]}
    fields: {Packet: {size: 24, sequence: 4}}
  - evidence: {build_ids: [abcd], strings: [with queue]}
    fields: {Queue: {count: 8}}
functions:
  - name: put
    role: put
    returns: i32
    stream: arg1
    bytes: arg2->Packet.size
    depth: arg1->Queue.count
    outcomes:
      - {is: drop, reason: full, when: ret == -1}
      - {is: drop, reason: late, when: entry(arg2->Packet.sequence) == 0}
      - {is: drop, reason: error, when: ret < 0}
  - name: get
    role: get
    stream: arg1
    bytes: arg2->Packet.size
    packet_when: arg2->Packet.sequence != 0
  - name: take
    role: get
    stream: arg1
    outcomes:
      - {is: no_packet, when: (arg2->Packet.sequence) == 0}
"""


def profile() -> ProfileSpec:
    return yamlfile.parse(PROFILE, "server.yaml", ProfileSpec)


def known(name: str, found: Findings) -> FunctionProfile:
    catalog = Catalog([profile()])
    matches = catalog.match(None, "server", [Symbol(name, 0, 0, SymbolSource.SYMTAB, name)])
    return catalog.place(matches, found)[0].function


@pytest.mark.parametrize(
    ("versions", "note"),
    [
        (("1.10",), ""),
        ((), ""),
        (("2.0",), "This is server/2.0; the profile was checked with 1.0 to 1.10. A note."),
    ],
)
def test_a_version_that_was_not_checked_is_named(versions: tuple[str, ...], note: str) -> None:
    """A newer server than those that the profile was checked with is said to be one; what the profile vouches for does not count there."""
    text = PROFILE.replace("structs:", "checked: {prefix: server/, from: 1.0, to: '1.10'}\nstructs:", 1)
    text = text.replace("  - name: put\n", "  - name: put\n    notes: A note.\n    uretprobe: {vouch: server.c}\n")
    catalog = Catalog([yamlfile.parse(text, "server.yaml", ProfileSpec)])
    matches = catalog.match(None, "server", [Symbol("put", 0, 0, SymbolSource.SYMTAB, "put")])
    asked = catalog.questions(matches)
    assert asked is not None
    assert asked.prefixes == ("server/",)
    placed_there = catalog.place(matches, Findings(versions={"server/": versions}))
    assert placed_there[0].function.notes == (note or "A note.")
    assert (placed_there[0].function.uretprobe is None) == bool(note)


def test_debug_information_wins_over_every_layout() -> None:
    """What the file describes is taken from there, with its size and sign; the older name where the newer one is not there."""
    found = Findings(
        {
            "Packet": {
                "size_": "it has no field size_",
                "len": Field(40, 8, True),
                "header.sequence": Field(2, 2, False),
            }
        },
        versions={"server/": ("1.10",)},
    )
    packet = placed(profile(), found)["Packet"]
    assert (packet["size"].offset, packet["size"].width) == (40, 8 | SIGNED)
    assert (packet["sequence"].offset, packet["sequence"].width) == (2, 2)


def test_a_described_type_without_the_field_is_not_guessed() -> None:
    """A layout by version is no help where the debug information shows that the type is another one."""
    found = Findings(
        {"Packet": {"size_": "it has no field size_", "len": "it has no field len"}}, versions={"server/": ("1.10",)}
    )
    size = placed(profile(), found)["Packet"]["size"]
    assert size.offset is None
    assert "it has no field size_" in size.why


@pytest.mark.parametrize(
    ("found", "size"),
    [
        (Findings(versions={"server/": ("1.9.5",)}), 16),
        (Findings(versions={"server/": ("1.10",)}), 16),
        (Findings(versions={"server/": ("1.10.1",)}), None),
        (Findings(versions={"server/": ("1.8", "1.9.5")}), None),
        (Findings(versions={"server/": ()}), None),
        (Findings(symbols=frozenset({"_ZTV6Packet"})), 24),
        (Findings(symbols=frozenset({"_ZTV6Packet"}), perhaps=frozenset({"packet_old"})), None),
        (Findings(symbols=frozenset({"_ZTV6Packet"}), versions={"server/": ("1.9.5",)}), None),
        (Findings(), None),
    ],
)
def test_without_debug_information_only_evidence_places_a_field(found: Findings, size: int | None) -> None:
    """Every mark of a layout must be there; two layouts that hold and differ are none; nothing is assumed."""
    place = placed(profile(), replace(found, problem="it has no debug information"))["Packet"]["size"]
    assert place.offset == size
    assert size is not None or "install its debug symbols" in place.why


def test_a_build_id_and_a_text_are_evidence_together() -> None:
    """Either alone is not enough where both are asked for."""
    text = frozenset({"with queue"})
    for build_id, strings, expected in (("abcd", text, 8), ("abcd", frozenset[str](), None), ("beef", text, None)):
        found = Findings(build_id=build_id, strings=strings)
        assert placed(profile(), found)["Queue"]["count"].offset == expected


def test_what_needs_a_field_without_a_place_is_absent_and_the_rest_stays() -> None:
    """Bytes, depth and the outcomes from the first unknown rule on are absent, each with its reason; calls and packets are counted."""
    put = known("put", Findings(versions={"server/": ("1.10",)}, problem="it has no debug information"))
    assert (put.has_packets, put.has_bytes, put.has_depth, put.drop_reasons) == (True, True, False, ("full",))
    assert [text.partition(":")[0] for text in put.absent] == ["no depth", "no drops"]
    assert "Queue.count" in put.absent[0]
    assert "Packet.sequence" in put.absent[1]
    nothing = known("put", Findings())
    assert (nothing.has_packets, nothing.has_bytes, nothing.drop_reasons) == (True, False, ("full",))


@pytest.mark.parametrize("name", ["get", "take"])
def test_packets_are_absent_where_nobody_can_tell_which_calls_carry_one(name: str) -> None:
    """A condition on packets that cannot be read makes their number unknown, not too high."""
    function = known(name, Findings(versions={"server/": ("1.10",)}))
    assert (function.has_packets, function.has_bytes, function.drop_reasons) == (False, False, ())
    assert known(name, Findings(symbols=frozenset({"_ZTV6Packet"}))).has_packets


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Packet: {size: 16}", "Packet: {length: 16}", "Packet.length is not among the profile's structs"),
        ("Packet: {size: 16}", "Packet: {size: -1}", "-1 is not an offset"),
        ("{symbols: [_ZTV6Packet], without: [packet_old]}", "{without: [packet_old]}", "a layout needs evidence"),
        ("prefix: server/", "prefix: s", "shorter than 3 characters"),
        ("from: 1.9.0", "from: 1.x", "'1.x' is not a version"),
    ],
)
def test_a_layout_that_says_nothing_is_refused(old: str, new: str, message: str) -> None:
    """A layout without evidence, or of fields that the profile does not have, is an error with its place."""
    assert old in PROFILE
    with pytest.raises(ConfigError, match=message):
        yamlfile.parse(PROFILE.replace(old, new), "server.yaml", ProfileSpec)
