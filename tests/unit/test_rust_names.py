# SPDX-License-Identifier: Apache-2.0
"""Rust's names: as binutils' c++filt reads those that rustc 1.95 made, without hashes and types of constants."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.catalog import load
from otel_jb.catalog.layouts import Findings
from otel_jb.elf.demangle import demangle
from otel_jb.elf.rust_names import demangle_rust
from otel_jb.elf.symbols import Matcher
from otel_jb.elf.types import Field
from otel_jb.model.plan import Symbol, SymbolSource
from otel_jb.model.reads import Op

PUSH = "_ZN12webrtc_media2io14sample_builder22SampleBuilder$LT$T$GT$4push17hce3f42fbf9ac7896E"
NAMES = {
    PUSH: "webrtc_media::io::sample_builder::SampleBuilder<T>::push",
    "_ZN42_$LT$$RF$T$u20$as$u20$core..fmt..Debug$GT$3fmt17h0418a93242e82f3dE": "<&T as core::fmt::Debug>::fmt",
    "_ZN3std2rt10lang_start28_$u7b$$u7b$closure$u7d$$u7d$17heb9aff7119f9e1d0E.llvm.16399229091445309451": (
        "std::rt::lang_start::{{closure}}"
    ),
    "_RNvMNtCsfq2Zq5gqAK1_2v04deepINtB2_3BufhKj4_E4pushB4_": "<v0::deep::Buf<u8, 4>>::push",
    "_RINvNtCsfq2Zq5gqAK1_2v04deep1fKb1_Kc78_Kan3_EB4_": "v0::deep::f::<true, 'x', -3>",
    "_RINvMs2_NtCs8sGJ4AnL5LH_4jiff4spanNtB6_4Span15try_days_rangedINtNtNtB8_4util8rangeint5ri128Knn1479b5cd6f30478a00_Kn7fffffffffffffff_EEB8_": (
        "<jiff::span::Span>::try_days_ranged::<jiff::util::rangeint::ri128<-0x1479b5cd6f30478a00, 9223372036854775807>>"
    ),
    "_RNvXs_NtCsfq2Zq5gqAK1_2v04deepINtB4_3BufhKj4_ENtB4_2Tr2goB6_": "<v0::deep::Buf<u8, 4> as v0::deep::Tr>::go",
    "_RNSNvYNCNvXs_NtCsfq2Zq5gqAK1_2v04deepINtBb_3BufhKj4_ENtBb_2Tr2go0INtNtNtCsgEmfK2I1SDS_4core3ops8function6FnOnceTRhEE9"
    "call_once6vtableBd_": (
        "<<v0::deep::Buf<u8, 4> as v0::deep::Tr>::go::{closure#0} as core::ops::function::FnOnce<(&u8,)>>::call_once"
        "::{shim:vtable#0}"
    ),
    "_RINvMsi_NtCsgvbsrvnw3yD_9hashbrown3rawINtB6_12RawIterRangeTThxEINtNtCslNYArtu3iFV_5alloc5boxed3BoxDNtNtCsgEmfK2I1SDS_"
    "4core3any3AnyEL_EEE9next_implKb0_ECsfq2Zq5gqAK1_2v0": (
        "<hashbrown::raw::RawIterRange<((u8, i64), alloc::boxed::Box<dyn core::any::Any>)>>::next_impl::<false>"
    ),
}


@pytest.mark.parametrize("mangled", NAMES)
def test_both_manglings_give_the_name_in_the_source(mangled: str) -> None:
    """Escapes, generics, closures, traits, constants, back references and a suffix of LLVM's."""
    assert demangle(mangled) == demangle_rust(mangled) == NAMES[mangled]


@pytest.mark.parametrize(
    "name", ["_ZN3foo3barEv", "_ZN3foo17h0123456789abcdeE", "_R", "_RNv", "_RB_", "_RNvB_3foo", "main"]
)
def test_other_and_damaged_names_are_no_rust_names(name: str) -> None:
    """C++ names go to the C++ demangler, and what breaks off or refers to itself has no Rust name."""
    assert demangle_rust(name) is None


@given(st.sampled_from([name for name in NAMES if name.startswith("_R")]), st.data())
def test_a_damaged_name_gives_a_text_or_nothing(name: str, data: st.DataObject) -> None:
    """Whatever one changes in a name, reading it ends, without an error and with a bounded text."""
    at = data.draw(st.integers(2, len(name) - 1))
    letter = data.draw(st.sampled_from("0123456789abBCDEFGIKLMNRSTXYuspe_"))
    for damaged in (name[:at], name[:at] + letter + name[at + 1 :], name[:at] + letter + name[at:]):
        result = demangle_rust(damaged)
        assert result is None or len(result) <= 1 << 17


def test_references_that_double_the_text_end() -> None:
    """A tuple of references to the tuple before it, thirty times over, is refused instead of printed."""
    name, last = "_RINvC1a1b", "h"
    for _ in range(30):
        name += f"T{last}{last}E"
        last = f"B{_base62(len(name) - len(f'T{last}{last}E') - 2)}"
    assert demangle_rust(f"{name}E") is None


def _base62(value: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    if value == 0:
        return "_"
    value, text = value - 1, ""
    while True:
        value, digit = divmod(value, 62)
        text = digits[digit] + text
        if not value:
            return f"{text}_"


def test_the_profile_finds_a_function_without_its_hash() -> None:
    """webrtc-rs's push is known by either mangling, whatever the builder's type argument is."""
    catalog = load()
    v0 = "<webrtc_media::io::sample_builder::SampleBuilder<app::Plain>>::push"
    for name, demangled in ((PUSH, NAMES[PUSH]), ("_R1", v0)):
        (match,) = catalog.match(None, "app", [Symbol(name, 0x1000, 64, SymbolSource.SYMTAB, demangled)])
        assert match.function.profile == "webrtc-rs"
        assert match.function.role == "put"


def test_a_type_of_a_module_is_named_with_its_path() -> None:
    """A packet's size comes from `rtp::packet::Packet`, wherever this build has the length of its payload."""
    catalog = load()
    (match,) = catalog.match(None, "app", [Symbol(PUSH, 0x1000, 64, SymbolSource.SYMTAB, NAMES[PUSH])])
    for offset in (16, 56):
        found = Findings({"rtp::packet::Packet": {"payload.len": Field(offset, 8, False)}})
        (placed,) = catalog.place([match], found)
        assert placed.function.has_bytes
        assert [operation.imm for operation in placed.function.program.entry if operation.op is Op.READ] == [offset]
    (unknown,) = catalog.place([match], Findings({"Packet": {"payload.len": Field(16, 8, False)}}))
    assert not unknown.function.has_bytes


def test_its_names_leave_symbol_tables_searchable() -> None:
    """Every shipped pattern has a fragment to search for: without one, each symbol of a large file would be demangled."""
    assert "" not in Matcher(load().patterns())._fragments
