# SPDX-License-Identifier: Apache-2.0
"""The schema of a profile file, and `FunctionProfile`: what the rest of the agent knows about one function.

The dataclasses named *...Spec* mirror the YAML (docs/profiles.md); `otel_jb.config.yamlfile` reads them, so their names are the keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import Enum
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Literal

from otel_jb.catalog.compile import (
    BUFFER,
    RTP_SEQUENCE,
    Meaning,
    Rule,
    compile_meaning,
    compile_of_buffer,
    registers_read,
)
from otel_jb.catalog.expression import (
    WIDTHS,
    Argument,
    AtEntry,
    Compare,
    Expression,
    FieldPlace,
    Read,
    Return,
    Scope,
    Text,
    UnplacedError,
    is_condition,
    parts,
    resolve,
    structs_of,
)
from otel_jb.config.yamlfile import KeyValueError
from otel_jb.model.errors import ConfigError
from otel_jb.model.marks import MAX_SLOT, MAX_TEXT, Mark, MarkKind
from otel_jb.model.plan import USDT, NamePart
from otel_jb.model.reads import MAX_DEPTH, MAX_DROP_REASONS, MAX_PACKET, SIGNED, Outcome, ReadOp, ReadProgram


class Role(Enum):
    """What a function does with the buffer; `jitterbuffer.role` of its series."""

    PUT = "put"  #: a packet goes in
    GET = "get"  #: a packet comes out
    PARSE = "parse"  #: a packet is taken apart or classified on its way in
    DECODE = "decode"  #: a packet or frame is decoded on its way out
    RESET = "reset"  #: discards the contents
    OPEN = "open"  #: creates a buffer
    CLOSE = "close"  #: ends a buffer
    DROP = "drop"  #: gives packets up
    NACK = "nack"  #: records or requests missing packets
    QUERY = "query"  #: looks at the buffer without moving anything
    WAIT = "wait"  #: waits for a packet
    TICK = "tick"  #: the buffer's clock advances
    OTHER = "other"  #: the user named the function; no profile says what it does


PACKET_ROLES = frozenset({Role.PUT, Role.GET, Role.PARSE, Role.DECODE})


class ReturnType(str):
    """`void`, or an integer type of the expressions."""

    __slots__ = ()

    @classmethod
    def from_yaml(cls, text: str) -> ReturnType:
        if text != "void" and (text not in WIDTHS or text.endswith("be")):
            known = ", ".join(name for name in WIDTHS if not name.endswith("be"))
            raise ValueError(f"unknown type {text!r}; known: void, {known}")
        return cls(text)


_VOID = ReturnType("void")


@dataclass(frozen=True, slots=True)
class ReturnRange:
    """An inclusive range of return values, written `-1`, `-10..-2`, `..-204`, `1..`."""

    low: int
    high: int

    @classmethod
    def from_yaml(cls, text: str) -> ReturnRange:
        match = re.fullmatch(r"(-?\d{1,18})|(-?\d{1,18})?\.\.(-?\d{1,18})?", text)
        if match is None or text == "..":
            raise ValueError(f"expected a value or a range such as -10..-2 or ..-204, got {text!r}")
        single, low, high = match.groups()
        if single is not None:
            return cls(int(single), int(single))
        found = cls(int(low) if low else -(2**63), int(high) if high else 2**63 - 1)
        if found.low > found.high:
            raise ValueError(f"{text!r} is empty")
        return found


@dataclass(frozen=True, slots=True)
class TimedSpec:
    """An expression, and whether it is read at the entry or the end."""

    value: Text
    when: Literal["entry", "end"]


@dataclass(frozen=True, slots=True)
class OutcomeSpec:
    """One rule that classifies a returned call; the first rule that holds decides."""

    is_: Literal["packet", "no_packet", "underrun", "duplicate", "drop"] = field(metadata={"key": "is"})
    when: Text | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.is_ == "drop") != (self.reason is not None):
            raise KeyValueError("reason", "a drop needs a reason, and only a drop has one")


@dataclass(frozen=True, slots=True)
class NamePartSpec:
    """A text in memory: the address of its first byte, and its length unless it ends with a zero."""

    text: Text
    length: Text | None = None


@dataclass(frozen=True, slots=True)
class UretprobeSpec:
    """`vouch`: why a return probe is safe here, with a source. `forbid`: why it never is."""

    vouch: str | None = None
    forbid: str | None = None

    def __post_init__(self) -> None:
        if (self.vouch is None) == (self.forbid is None):
            raise ValueError("give either 'vouch' or 'forbid'")


@dataclass(frozen=True, slots=True)
class MarkerSpec:
    """Marks of files in which a name is credible: any glob of any kind matches, or any of the symbols is in the file."""

    soname: tuple[str, ...] = ()
    executable: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()

    def holds(self, soname: str | None, executable: str, names: frozenset[str]) -> bool:
        """Whether the file has one of the marks."""
        return (
            (soname is not None and any(fnmatchcase(soname, glob) for glob in self.soname))
            or any(fnmatchcase(executable, glob) for glob in self.executable)
            or any(name in names for name in self.symbols)
        )


@dataclass(frozen=True, slots=True)
class VersionSpec:
    """A version in the file's own text: `prefix`, then numbers with dots."""

    prefix: str
    from_: str = field(metadata={"key": "from"})
    to: str

    def __post_init__(self) -> None:
        if len(self.prefix) < 3:
            raise KeyValueError("prefix", "a prefix shorter than 3 characters would match anywhere")
        for key, text in (("from", self.from_), ("to", self.to)):
            if not re.fullmatch(r"\d{1,6}(\.\d{1,6}){0,4}", text):
                raise KeyValueError(key, f"{text!r} is not a version")

    def holds(self, version: str) -> bool:
        """Whether a version is in the range, including both ends."""
        return _numbers(self.from_) <= _numbers(version) <= _numbers(self.to)


@dataclass(frozen=True, slots=True)
class EvidenceSpec:
    """What a file without debug information must contain for a layout to apply; all of it."""

    build_ids: tuple[str, ...] = ()  #: one of them
    symbols: tuple[str, ...] = ()  #: all of them, mangled
    without: tuple[str, ...] = ()  #: none of them
    strings: tuple[str, ...] = ()  #: all of them, in its read-only data
    version: VersionSpec | None = None

    def __post_init__(self) -> None:
        if not (self.build_ids or self.symbols or self.strings or self.version):
            raise ValueError("a layout needs evidence: build_ids, symbols, strings or version")


@dataclass(frozen=True, slots=True)
class LayoutSpec:
    """Offsets of fields in the versions that the evidence identifies."""

    evidence: EvidenceSpec
    fields: dict[str, dict[str, int]]
    source: str = ""


@dataclass(frozen=True, slots=True)
class LayoutFile:
    """Additional layouts of profiles, by profile id: the output of `otel-jb layout`."""

    layouts_of: dict[str, tuple[LayoutSpec, ...]]


@dataclass(frozen=True, slots=True)
class IgnoredSpec:
    """A function that looks like a jitter-buffer function but is none, or whose calls mean nothing."""

    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class MarkSpec:
    """What the function is recognised by in a file that has no name for it; exactly one of the first five."""

    string: str | None = None
    starts: str | None = None
    called_by: str | None = None
    calls: str | None = None
    virtual_of: str | None = None  #: mangled name of a class, as in its type information: `N6webrtc9NetEqImplE`
    slot: int | None = None
    elsewhere: bool = False  #: it must lead to another function
    optional: bool = False  #: builds may lack it
    most: bool = False  #: of several functions that it leads to, the one that refers to it most often counts

    def __post_init__(self) -> None:
        given = [
            text for text in (self.string, self.starts, self.called_by, self.calls, self.virtual_of) if text is not None
        ]
        if len(given) != 1:
            raise ValueError("a mark is either 'string', 'starts', 'called_by', 'calls' or 'virtual_of'")
        if self.slot is not None and (self.virtual_of is None or not 0 <= self.slot < MAX_SLOT):
            raise KeyValueError("slot", f"only 'virtual_of' has a slot, from 0 to {MAX_SLOT - 1}")
        if not 3 <= len(given[0]) <= MAX_TEXT or "\0" in given[0]:
            raise ValueError(f"the text of a mark has 3 to {MAX_TEXT} characters, and no zero among them")

    @property
    def mark(self) -> Mark:
        """What to look for in the file."""
        if self.virtual_of is not None:
            return Mark(MarkKind.SLOT, self.virtual_of, self.slot)
        if self.called_by is not None:
            return Mark(MarkKind.CALLED_BY, self.called_by)
        if self.calls is not None:
            return Mark(MarkKind.CALLS, self.calls)
        if self.starts is not None:
            return Mark(MarkKind.STARTS, self.starts)
        return Mark(MarkKind.STRING, self.string or "")


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """One entry of a profile's `functions`."""

    name: str
    role: Role
    line: str = field(default="", metadata={"line": True})
    also: tuple[str, ...] = ()
    primary: bool = False
    packets: bool | None = None
    returns: ReturnType = _VOID
    stream: Text | None = None
    packet_when: Text | None = None
    bytes: Text | TimedSpec | None = None
    rtp: Text | None = None
    stream_name: tuple[NamePartSpec, ...] = ()
    enters: Text | None = None  #: what the packet that goes into the buffer is known by
    leaves: Text | TimedSpec | None = None  #: the same of the one that comes out
    passes: Text | None = None  #: whether the packet that went in comes out within the same call
    depth: Text | TimedSpec | None = None
    largest: int = MAX_PACKET
    capacity: int = MAX_DEPTH
    outcomes: tuple[OutcomeSpec, ...] = ()
    errors: tuple[ReturnRange, ...] = ()
    opens: Text | None = None
    closes: Text | None = None
    empties: Text | None = None
    may_yield: bool = False
    throws: bool = False
    static: bool = False  #: not visible outside its source file, so that a compiler may give it other arguments
    uretprobe: UretprobeSpec | None = None
    attach: Literal["default", "detail", "named"] = "default"
    only: MarkerSpec | None = None
    layout: MarkerSpec | None = None
    marks: tuple[MarkSpec, ...] = ()
    versions: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        if self.marks and all(mark.elsewhere or mark.optional for mark in self.marks):
            raise KeyValueError("marks", "at least one mark must be in every build, and lead to the function")
        if self.returns == "void" and self.errors:
            raise KeyValueError("errors", "a function that returns nothing has no error returns")
        if (self.may_yield or self.throws) and self.uretprobe and self.uretprobe.vouch:
            raise KeyValueError("uretprobe", "a function that yields or throws cannot be vouched for")
        if self.depth is not None and self.stream is None:
            raise KeyValueError("depth", "a depth belongs to a stream: the key 'stream' is missing")
        if len(self.drop_reasons) > MAX_DROP_REASONS:
            raise KeyValueError("outcomes", f"more than {MAX_DROP_REASONS} reasons for a drop")
        if not 0 < self.largest < 1 << 31:
            raise KeyValueError("largest", "a packet has at least one byte and less than 2 GiB")
        if not 0 < self.capacity <= MAX_DEPTH:
            raise KeyValueError("capacity", f"a buffer holds 1 to {MAX_DEPTH} packets")
        if self.rtp is not None and (self.bytes is None or _read_at_end(self.bytes)):
            raise KeyValueError("rtp", "an RTP packet has a size that is known at the entry: the key 'bytes'")
        if self.stream_name and (self.rtp is None or self.stream is None):
            raise KeyValueError("stream_name", "only a function with 'rtp' and 'stream' has streams to name")
        if (self.enters is not None or self.leaves is not None) and (self.stream is None or not self.handles_packets):
            raise KeyValueError("enters", "packets enter and leave a 'stream', by functions that handle packets")
        if self.enters is not None and self.leaves is not None:
            raise KeyValueError("leaves", "what enters and leaves within one call is what 'passes'")
        if self.opens is not None and (self.enters is not None or self.leaves is not None or self.empties is not None):
            raise KeyValueError("opens", "a function that opens a buffer moves no packets")
        if self.enters is not None and self.enters.tree == RTP_SEQUENCE and self.rtp is None:
            raise KeyValueError("enters", "rtp_sequence is read with 'rtp'")
        if self.passes is not None and self.enters is None:
            raise KeyValueError("passes", "only a packet that 'enters' can pass")
        if self.is_mark:
            self._check_mark()
        if self.bytes is not None and not self.handles_packets:
            raise KeyValueError("bytes", f"a function of role {self.role.value} handles no packet")

    def _check_mark(self) -> None:
        """A USDT probe has no end, so it returns nothing and all of it is read when it is hit."""
        for key in ("errors", "opens", "passes", "marks", "uretprobe", "static", "may_yield", "throws"):
            if getattr(self, key):
                raise KeyValueError(key, "a USDT probe is a place in a function: it has no end, and no name to lose")
        if self.returns != "void":
            raise KeyValueError("returns", "a USDT probe returns nothing")
        if any(not name.startswith(USDT) or name.count(":") != 2 for name in (self.name, *self.also)):
            raise KeyValueError("name", f"a USDT probe is called {USDT}PROVIDER:NAME")
        for key in ("bytes", "depth", "leaves"):
            given = getattr(self, key)
            if isinstance(given, TimedSpec) and given.when == "end":
                raise KeyValueError(key, "a USDT probe has no end: it is read when it is hit")

    @property
    def is_mark(self) -> bool:
        """Whether it is a USDT probe, and no function."""
        return any(name.startswith(USDT) for name in (self.name, *self.also))

    @property
    def handles_packets(self) -> bool:
        """Whether a call handles a packet unless a rule says otherwise."""
        return self.packets if self.packets is not None else self.role in PACKET_ROLES

    @property
    def drop_reasons(self) -> tuple[str, ...]:
        """The reasons in the order of their first rule."""
        return tuple(dict.fromkeys(rule.reason for rule in self.outcomes if rule.reason is not None))


@dataclass(frozen=True, slots=True)
class ProfileSpec:
    """A profile file."""

    profile: str
    title: str
    functions: tuple[FunctionSpec, ...]
    only: MarkerSpec | None = None
    libraries: tuple[
        str, ...
    ] = ()  #: globs of the names by which a linker finds its files; none: the sonames of `only`
    layout: MarkerSpec | None = None
    versions: str = ""
    checked: VersionSpec | None = None
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    structs: dict[str, dict[str, FieldPlace]] = field(default_factory=dict)
    layouts: tuple[LayoutSpec, ...] = ()
    values: dict[str, Text] = field(default_factory=dict)
    ignored: tuple[IgnoredSpec, ...] = ()
    telltale: str | None = None  #: a text that every file with these functions has

    def __post_init__(self) -> None:
        if (self.telltale is None) == any(function.marks for function in self.functions):
            raise KeyValueError("telltale", "functions with marks need a 'telltale', and only they do")
        if self.telltale is not None and not 8 <= len(self.telltale) <= MAX_TEXT:
            raise KeyValueError("telltale", f"a telltale has 8 to {MAX_TEXT} characters")
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,40}", self.profile) or self.profile in ("generic", "none"):
            raise KeyValueError(
                "profile", f"{self.profile!r} is not a profile id: use small letters, digits and hyphens"
            )
        for glob in self.libraries:
            if glob.startswith("/") or ".." in glob.split("/") or len(glob) < 6:
                raise KeyValueError(
                    "libraries", f"{glob!r} is not the name of a library, or its path below a linker's directory"
                )
        for layout in self.layouts:
            for struct, offsets in layout.fields.items():
                for name, offset in offsets.items():
                    if name not in self.structs.get(struct, {}):
                        raise KeyValueError("layouts", f"{struct}.{name} is not among the profile's structs")
                    if not 0 <= offset < 1 << 24:
                        raise KeyValueError("layouts", f"{struct}.{name}: {offset} is not an offset")
        if sum(function.rtp is not None for function in self.functions) > 1:
            raise KeyValueError("functions", "two functions with 'rtp': each packet of a profile is looked at once")
        seen: set[tuple[str, str]] = set()
        primaries: set[tuple[Role, str]] = set()
        for function in self.functions:
            for name in (function.name, *function.also):
                if (name, str(function.only)) in seen:
                    raise KeyValueError("functions", f"{name} appears twice in the profile {self.profile}")
                seen.add((name, str(function.only)))
            if function.primary and (function.role, function.versions) in primaries:
                raise KeyValueError("functions", f"two primary functions of role {function.role.value}")
            if function.primary:
                primaries.add((function.role, function.versions))


@dataclass(frozen=True, slots=True)
class Vouch:
    """Why a return probe on a function is safe, with the source of that claim."""

    reference: str


@dataclass(frozen=True)
class FunctionProfile:
    """What a profile knows about one function with one name.

    `trusted` is False if the profile's reads cannot be trusted: in a compiler's clone of the function, whose arguments may differ, or
    in a version with unknown layouts. Such a function is only counted and timed.
    """

    profile: str
    name: str
    role: str
    primary: bool
    spec: FunctionSpec
    scope: Scope = field(repr=False, default=Scope({}, {}))
    generic: bool = False
    asked: bool = False  #: only because the user named it
    trusted: bool = True
    return_trusted: bool = True  #: False in clones, whose return value may differ
    inferred: bool = False  #: found by marks, without a name
    doubtful: bool = False  #: found by marks that do not all agree, so it may be another function
    unchecked: bool = False  #: in a version that the profile was not checked with
    whole: bool = True  #: False for `.part` clones: a call of one is not a call of the function
    notes: str = ""

    @cached_property
    def meaning(self) -> Meaning:
        """The profile's expressions with names resolved. Raises ConfigError with the location of the mistake."""
        found, _ = self._understood
        if self.trusted:
            return found
        by_return = self.return_trusted and found.packet_when is None and all(_by_return(r.when) for r in found.rules)
        return Meaning(rules=found.rules if by_return else (), return_width=found.return_width)

    @cached_property
    def _understood(self) -> tuple[Meaning, tuple[str, ...]]:
        return _meaning(self.spec, self.scope)

    @property
    def absent(self) -> tuple[str, ...]:
        """One sentence for each value that the profile defines but that cannot be read in this file."""
        return self._understood[1] if self.whole and self.trusted else ()

    @cached_property
    def sources(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The structs that each value is read from: of `bytes`, `depth`, `outcome`, `rtp`, `residence` and `packet`, those that need any."""
        if not self.whole or not self.trusted:
            return ()
        texts = {
            "bytes": [_text(self.spec.bytes)] if self.has_bytes else [],
            "depth": [_text(self.spec.depth)] if self.has_depth else [],
            "outcome": [rule.when for rule in self._outcomes[: len(self.meaning.rules)]],
            "rtp": [self.spec.rtp, _text(self.spec.bytes)] if self.has_rtp else [],
            "residence": [self.spec.enters, _text(self.spec.leaves), self.spec.passes] if self.moves_packets else [],
            "packet": [self.spec.packet_when, *(rule.when for rule in self.spec.outcomes if rule.is_ in _NONE)],
        }
        found = {
            value: frozenset[str]().union(*(structs_of(text, self.scope) for text in given if text is not None))
            for value, given in texts.items()
        }
        return tuple((value, tuple(sorted(structs))) for value, structs in found.items() if structs)

    @cached_property
    def program(self) -> ReadProgram:
        """The read program. Raises ConfigError if it exceeds the kernel's limits."""
        if not self.whole:
            return ReadProgram()
        try:
            return compile_meaning(self.meaning)
        except ValueError as error:
            raise ConfigError(f"{self.spec.line}: {self.name}: {error}") from None

    @property
    def has_packets(self) -> bool:
        """Whether packets can be counted."""
        if not self.whole or not self.spec.handles_packets or not self.meaning.packets_known:
            return False
        if self.trusted:
            return True
        return self.spec.packet_when is None and len(self.meaning.rules) == len(self._outcomes)

    @property
    def has_bytes(self) -> bool:
        """Whether the size of a packet is known."""
        return self.whole and (self.meaning.bytes_entry is not None or self.meaning.bytes_end is not None)

    @property
    def has_rtp(self) -> bool:
        """Whether the RTP header of a packet can be read."""
        return self.whole and self.meaning.rtp is not None

    @property
    def moves_packets(self) -> bool:
        """Whether it is known which packet goes into the buffer, or comes out of it."""
        meaning = self.meaning
        told = (meaning.enters, meaning.leaves_entry, meaning.leaves_end)
        return self.whole and any(each is not None for each in told)

    @property
    def stream_name(self) -> tuple[NamePart, ...]:
        """Where the name of a buffer's stream is."""
        return self.meaning.stream_name if self.whole else ()

    @property
    def has_depth(self) -> bool:
        """Whether the packets held can be read."""
        return self.whole and (self.meaning.depth_entry is not None or self.meaning.depth_end is not None)

    @property
    def has_duplicates(self) -> bool:
        """Whether duplicates are recognised."""
        return self.has_packets and any(rule.outcome == Outcome.DUPLICATE for rule in self.meaning.rules)

    @property
    def _outcomes(self) -> tuple[OutcomeSpec, ...]:
        """The rules without those of underruns, if these are among the calls that carried no packet."""
        told = any(rule.outcome == Outcome.UNDERRUN for rule in self.meaning.rules)
        return tuple(rule for rule in self.spec.outcomes if told or rule.is_ != "underrun")

    @property
    def has_underruns(self) -> bool:
        """Whether it is recognised that the buffer had nothing to give."""
        return self.has_packets and any(rule.outcome == Outcome.UNDERRUN for rule in self.meaning.rules)

    @property
    def drop_reasons(self) -> tuple[str, ...]:
        """The recognised reasons of drops; the program's outcome is an index into this tuple."""
        if not self.has_packets:
            return ()
        reasons = (rule.reason for rule in self._outcomes[: len(self.meaning.rules)])
        return tuple(dict.fromkeys(reason for reason in reasons if reason is not None))

    @property
    def error_return(self) -> tuple[tuple[int, int], ...]:
        """Inclusive ranges of the extended return value that mean failure."""
        return tuple((errors.low, errors.high) for errors in self.spec.errors) if self.return_trusted else ()

    @property
    def return_width(self) -> int:
        """Size of the return value in bytes, 0 if there is none."""
        return 0 if self.spec.returns == "void" else WIDTHS[self.spec.returns] & 15

    @property
    def return_signed(self) -> bool:
        """Whether to sign-extend the return value."""
        return self.spec.returns != "void" and bool(WIDTHS[self.spec.returns] & SIGNED)

    @property
    def uses_return(self) -> bool:
        """Whether the end program reads the return value; if so, an end site without it yields less."""
        return 0 in registers_read(self.program.end)

    @property
    def argument_registers(self) -> frozenset[int]:
        """Integer arguments (1 to 6) that the entry program reads; the entry site must precede any change to them."""
        return frozenset(register + 1 for register in registers_read(self.program.entry) if register < 6)

    @property
    def may_yield(self) -> bool:
        """Whether the function can switch coroutines inside."""
        return self.spec.may_yield

    @property
    def throws(self) -> bool:
        """Whether an exception can pass through the function."""
        return self.spec.throws

    @property
    def uretprobe(self) -> Vouch | None:
        """The profile's claim that a return probe is safe here.

        None of a function without a name and in a version that the profile was not checked with: only its own code is proof there.
        """
        if self.inferred or self.unchecked:
            return None
        vouch = self.spec.uretprobe.vouch if self.spec.uretprobe else None
        return Vouch(vouch) if vouch else None

    @property
    def uretprobe_forbidden(self) -> str | None:
        """Why a return probe is never safe here."""
        if self.doubtful:
            return "it is not certain which function this is"
        if self.spec.uretprobe and self.spec.uretprobe.forbid:
            return self.spec.uretprobe.forbid
        if self.spec.may_yield:
            return "it can switch coroutines inside"
        return "exceptions can pass through it" if self.spec.throws else None

    @property
    def attach_by_default(self) -> bool:
        """False: only where the user names the function."""
        return self.spec.attach != "named" and not self.generic

    @property
    def detail(self) -> bool:
        """True: only where the user asks for everything, or names the function."""
        return self.spec.attach == "detail"

    def untrusted(self, note: str, *, return_trusted: bool, whole: bool = True) -> FunctionProfile:
        """The same function, without values read from arguments or memory or, in a clone, from its return value."""
        return replace(
            self,
            trusted=False,
            return_trusted=return_trusted,
            whole=whole,
            primary=self.primary and whole,
            notes=f"{note} {self.notes}".strip(),
        )


def _meaning(spec: FunctionSpec, scope: Scope) -> tuple[Meaning, tuple[str, ...]]:
    """What the profile says about a function as far as field places are known, and a sentence about each absent value."""
    absent: list[str] = []

    def place(what: str, text: Text | None, *, condition: bool = False, at_entry: bool = False) -> Expression | None:
        try:
            return value(text, condition=condition, at_entry=at_entry)
        except UnplacedError as error:
            absent.append(f"no {what}: where {error.field} is, is not known: {error.why}")
            return None

    def value(text: Text | None, *, condition: bool = False, at_entry: bool = False) -> Expression | None:
        if text is None:
            return None
        tree = resolve(text, scope)
        if is_condition(tree) != condition and not (condition and not is_condition(tree)):
            raise text.fail("a condition stands where a value is wanted")
        if at_entry and any(isinstance(part, Return) for part in parts(tree)):
            raise text.fail("there is no return value at the entry")
        if any(isinstance(part, Return) for part in parts(tree)) and spec.returns == "void":
            raise text.fail("the function returns nothing: give 'returns'")
        return tree if not condition or is_condition(tree) else _nonzero(tree)

    def timed(what: str, given: Text | TimedSpec | None, default: str) -> tuple[Expression | None, Expression | None]:
        when = given.when if isinstance(given, TimedSpec) else default
        tree = place(what, _text(given), at_entry=when == "entry")
        return (tree, None) if when == "entry" else (None, tree)

    def place_name() -> tuple[NamePart, ...]:
        of_buffer = Scope({**scope.values, "stream": Text("stream", "", BUFFER)}, scope.structs)

        def program(text: Text) -> tuple[ReadOp, ...]:
            try:
                return compile_of_buffer(resolve(text, of_buffer))
            except ValueError as error:
                raise text.fail(str(error)) from None

        try:
            return tuple(
                NamePart(program(part.text), program(part.length) if part.length is not None else ())
                for part in spec.stream_name
            )
        except UnplacedError as error:
            absent.append(f"no names of streams: where {error.field} is, is not known: {error.why}")
            return ()

    stream = place("streams", spec.stream)
    if stream is not None and spec.stream is not None:
        scope = Scope({**scope.values, "stream": replace(spec.stream, tree=AtEntry(stream))}, scope.structs)
    packet_when = place("packets and bytes", spec.packet_when, condition=True, at_entry=True)
    packets_known = packet_when is not None or spec.packet_when is None
    bytes_entry, bytes_end = timed("bytes", spec.bytes, "entry") if packets_known else (None, None)
    text = _text(spec.bytes)
    if bytes_entry is not None and text is not None:
        scope = Scope({**scope.values, "bytes": replace(text, tree=AtEntry(bytes_entry))}, scope.structs)
    last = "entry" if spec.is_mark else "end"
    depth_entry, depth_end = timed("depth", spec.depth, last) if stream is not None else (None, None)
    outcomes = {
        "packet": Outcome.PACKET,
        "no_packet": Outcome.NO_PACKET,
        "underrun": Outcome.UNDERRUN,
        "duplicate": Outcome.DUPLICATE,
    }
    rules: list[Rule] = []
    for number, rule in enumerate(spec.outcomes):
        left = spec.outcomes[number:]
        try:
            when = value(rule.when, condition=True)
        except UnplacedError as error:
            if rule.is_ == "underrun" and [(each.is_, each.when) for each in left[1:]] == [("no_packet", None)]:
                absent.append(f"no underruns: where {error.field} is, is not known: {error.why}")
                continue  # without it, they are among the calls that carried no packet
            # The first rule that holds decides, so later rules are unusable, too.
            what = " and ".join(dict.fromkeys(_OUTCOME_WORDS[each.is_] for each in left))
            absent.append(f"no {what}: where {error.field} is, is not known: {error.why}")
            packets_known = packets_known and not any(each.is_ in _NONE for each in left)
            break
        reason = rule.reason
        rules.append(
            Rule(when, outcomes[rule.is_] if reason is None else Outcome.DROP + spec.drop_reasons.index(reason))
        )
    rtp = place("RTP", spec.rtp, at_entry=True) if bytes_entry is not None and packets_known else None
    enters: Expression | None = None
    passes = leaves_entry = leaves_end = None
    if stream is not None and packets_known:
        if spec.enters is not None and spec.enters.tree == RTP_SEQUENCE:
            enters = RTP_SEQUENCE if rtp is not None else None
        else:
            enters = place("residence", spec.enters, at_entry=True)
        if spec.leaves is not None:
            leaves_entry, leaves_end = timed("residence", spec.leaves, last)
        if enters is not None and spec.passes is not None:
            passes = place("residence", spec.passes, condition=True)
            enters = enters if passes is not None else None  # without those that pass, the mean would be too high
    stream_name = place_name() if rtp is not None and stream is not None and spec.stream is not None else ()
    meaning = Meaning(
        stream=stream,
        packet_when=packet_when,
        bytes_entry=bytes_entry if packets_known else None,
        bytes_end=bytes_end if packets_known else None,
        depth_entry=depth_entry,
        depth_end=depth_end,
        largest=spec.largest,
        capacity=spec.capacity,
        rtp=rtp,
        stream_name=stream_name,
        rules=tuple(rules) if packets_known else (),
        opens=place("opened buffers", spec.opens),
        closes=place("closed buffers", spec.closes, at_entry=True),
        return_width=0 if spec.returns == "void" else WIDTHS[spec.returns],
        enters=enters,
        leaves_entry=leaves_entry,
        leaves_end=leaves_end,
        passes=passes,
        empties=place("emptied buffers", spec.empties, at_entry=True),
        packets_known=packets_known,
        at_mark=spec.is_mark,
    )
    return meaning, tuple(absent)


_NONE = ("no_packet", "underrun")  #: outcomes of calls that carried no packet
_OUTCOME_WORDS = {
    "packet": "drops",
    "no_packet": "packets and bytes",
    "underrun": "packets, bytes and underruns",
    "duplicate": "duplicates",
    "drop": "drops",
}


def _read_at_end(given: Text | TimedSpec) -> bool:
    return isinstance(given, TimedSpec) and given.when == "end"


def _text(given: Text | TimedSpec | None) -> Text | None:
    return given.value if isinstance(given, TimedSpec) else given


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _by_return(tree: Expression | None) -> bool:
    """Whether the condition depends only on the return value."""
    return tree is None or not any(isinstance(part, (Read, Argument, AtEntry)) for part in parts(tree))


def _nonzero(tree: Expression) -> Expression:
    return Compare(tree, less=False, number=0, negated=True)
