# SPDX-License-Identifier: Apache-2.0
"""The schema of a profile file.

The dataclasses named *...Spec* mirror the YAML (docs/profiles.md); `otel_jb.config.yamlfile` reads them, so their names are the keys.
"""

from __future__ import annotations

import re
from dataclasses import field, replace
from enum import Enum
from fnmatch import fnmatchcase
from typing import Literal

from otel_jb.catalog.compile import (
    RTP_SEQUENCE,
)
from otel_jb.catalog.expression import (
    WIDTHS,
    FieldPlace,
    Text,
)
from otel_jb.config.yamlfile import KeyValueError
from otel_jb.model.added import ADDED, MAX_ADDED, MAX_MEAN, MAX_VALUE
from otel_jb.model.dataclass import dataclass
from otel_jb.model.marks import MAX_SLOT, MAX_TEXT, Mark, MarkKind
from otel_jb.model.plan import USDT
from otel_jb.model.reads import MAX_DEPTH, MAX_DROP_REASONS, MAX_PACKET


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
class AddSpec:
    """What a call adds to a counter of `model.added`."""

    to: str
    value: Text
    when: Text | None = None
    at: Literal["entry", "end"] = "entry"
    most: int | None = None  #: the largest value that one call may add

    def __post_init__(self) -> None:
        if self.to not in ADDED:
            raise KeyValueError("to", f"unknown counter {self.to!r}; known: {', '.join(ADDED)}")
        if not 0 < self.limit <= (MAX_MEAN if ADDED[self.to].is_mean else MAX_VALUE):
            raise KeyValueError("most", "a call adds 0 to 2^31 - 1, and 0 to 2^20 - 1 to what is a mean")

    @property
    def limit(self) -> int:
        """The largest value that one call may add."""
        return self.most if self.most is not None else MAX_MEAN if ADDED[self.to].is_mean else MAX_VALUE


@dataclass(frozen=True, slots=True)
class NamePartSpec:
    """A text in memory: the address of its first byte, and its length unless it ends with a zero."""

    text: Text
    length: Text | None = None


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """Pointers in memory: the address of the first, and the one behind the last."""

    begin: Text
    end: Text


@dataclass(frozen=True, slots=True)
class TrackClockSpec:
    """Where a track of the stream with the packets' SSRC has their clock rate. In all but `tracks`, `track` is the track's address."""

    tracks: tuple[ArraySpec, ...]
    ssrc: Text
    payload_type: Text  #: that the rate is of
    hertz: Text

    def __post_init__(self) -> None:
        if not self.tracks:
            raise KeyValueError("tracks", "there is no array to look for a track in")


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
class AtCallSpec:
    """One call that the function makes, and what is read there. `arg1` to `arg6` are what it gives to the function that it calls."""

    of: tuple[str, ...]  #: names of that function: demangled without arguments, or as it is in the file
    stream: Text | None = None
    bytes: Text | None = None
    enters: Text | None = None
    leaves: Text | None = None
    depth: Text | None = None
    adds: tuple[AddSpec, ...] = ()

    def __post_init__(self) -> None:
        if not self.of or any(set(name) & set("*?[") for name in self.of):
            raise KeyValueError("of", "the names of the function that is called, without wildcards")
        if any(each.at == "end" for each in self.adds):
            raise KeyValueError("adds", "a call of another function has no end: it is read where it is made")

    def tells(self) -> set[str]:
        """What is read there, by key; of `adds` the counters."""
        return {*(key for key in _AT_CALLS if getattr(self, key) is not None), *(each.to for each in self.adds)}

    def of_function(self, spec: FunctionSpec) -> FunctionSpec:
        """What the function that calls is there: the same, with these reads in the place of its own."""
        depth, leaves = (None if each is None else TimedSpec(each, "entry") for each in (self.depth, self.leaves))
        return replace(
            spec,
            at_calls=(),
            marks=(),
            returns=_VOID,
            errors=(),
            packet_when=None,
            stream=self.stream,
            bytes=self.bytes,
            enters=self.enters,
            leaves=leaves,
            depth=depth,
            adds=self.adds,
            uretprobe=None,
        )


_AT_CALLS = ("bytes", "enters", "leaves", "depth")


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
    track_clock: TrackClockSpec | None = None
    enters: Text | None = None  #: what the packet that goes into the buffer is known by
    leaves: Text | TimedSpec | None = None  #: the same of the one that comes out
    passes: Text | None = None  #: whether the packet that went in comes out within the same call
    depth: Text | TimedSpec | None = None
    largest: int = MAX_PACKET
    capacity: int = MAX_DEPTH
    outcomes: tuple[OutcomeSpec, ...] = ()
    adds: tuple[AddSpec, ...] = ()
    errors: tuple[ReturnRange, ...] = ()
    opens: Text | None = None
    closes: Text | None = None
    empties: Text | None = None
    may_yield: bool = False
    throws: bool = False
    static: bool = False  #: not visible outside its source file, so that a compiler may give it other arguments
    uretprobe: UretprobeSpec | None = None
    at_calls: tuple[AtCallSpec, ...] = ()  #: calls that tell what the function tells, unless it is probed itself
    attach: Literal["default", "detail", "named"] = "default"
    times: Literal["default", "detail", "named"] = "default"
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
        if len(self.adds) > MAX_ADDED or len({each.to for each in self.adds}) < len(self.adds):
            raise KeyValueError("adds", f"a function adds to {MAX_ADDED} counters at most, to each by one value")
        if not 0 < self.largest < 1 << 31:
            raise KeyValueError("largest", "a packet has at least one byte and less than 2 GiB")
        if not 0 < self.capacity <= MAX_DEPTH:
            raise KeyValueError("capacity", f"a buffer holds 1 to {MAX_DEPTH} packets")
        if self.rtp is not None and (self.bytes is None or _read_at_end(self.bytes)):
            raise KeyValueError("rtp", "an RTP packet has a size that is known at the entry: the key 'bytes'")
        if self.stream_name and (self.rtp is None or self.stream is None):
            raise KeyValueError("stream_name", "only a function with 'rtp' and 'stream' has streams to name")
        if self.track_clock is not None and (self.rtp is None or self.stream is None):
            raise KeyValueError("track_clock", "only a function with 'rtp' and 'stream' has streams with a clock")
        if (self.enters is not None or self.leaves is not None) and (self.stream is None or not self.handles_packets):
            raise KeyValueError("enters", "packets enter and leave a 'stream', by functions that handle packets")
        if self.enters is not None and self.leaves is not None:
            raise KeyValueError("leaves", "a packet that enters and leaves within one call belongs under 'passes'")
        if self.opens is not None and (self.enters is not None or self.leaves is not None or self.empties is not None):
            raise KeyValueError("opens", "a function that opens a buffer moves no packets")
        if self.enters is not None and self.enters.tree == RTP_SEQUENCE and self.rtp is None:
            raise KeyValueError("enters", "rtp_sequence is read with 'rtp'")
        if self.passes is not None and self.enters is None:
            raise KeyValueError("passes", "only a packet that 'enters' can pass")
        if self.times != "default" and self._needs_end and not self.at_calls:
            raise KeyValueError(
                "times", "what is read at the end needs the end: everything else must be known at the entry"
            )
        if self.at_calls:
            self._check_at_calls()
        if self.is_mark:
            self._check_mark()
        if self.bytes is not None and not self.handles_packets:
            raise KeyValueError("bytes", f"a function of role {self.role.value} handles no packet")

    def _check_at_calls(self) -> None:
        """Nothing that a user asks for may be lost where the calls are probed in the function's place."""
        for key in ("rtp", "outcomes", "opens", "closes", "empties", "passes"):
            if getattr(self, key):
                raise KeyValueError("at_calls", f"a call that the function makes cannot tell '{key}'")
        own = {*(key for key in _AT_CALLS if getattr(self, key) is not None), *(each.to for each in self.adds)}
        there = [name for call in self.at_calls for name in call.tells()]
        if sorted(there) != sorted(own):
            raise KeyValueError(
                "at_calls", f"together they tell once what the function tells: {', '.join(sorted(own)) or 'nothing'}"
            )

    def _check_mark(self) -> None:
        """A USDT probe has no end, so it returns nothing and all of it is read when it is hit."""
        for key in ("errors", "opens", "passes", "marks", "uretprobe", "static", "may_yield", "throws", "at_calls"):
            if getattr(self, key):
                raise KeyValueError(key, "a USDT probe is a place in a function: it has no end, and no name to lose")
        if self.returns != "void":
            raise KeyValueError("returns", "a USDT probe returns nothing")
        if any(not name.startswith(USDT) or name.count(":") != 2 for name in (self.name, *self.also)):
            raise KeyValueError("name", f"a USDT probe is called {USDT}PROVIDER:NAME")
        if any(each.at == "end" for each in self.adds):
            raise KeyValueError("adds", "a USDT probe has no end: it is read when it is hit")
        for key in ("bytes", "depth", "leaves"):
            given = getattr(self, key)
            if isinstance(given, TimedSpec) and given.when == "end":
                raise KeyValueError(key, "a USDT probe has no end: it is read when it is hit")

    @property
    def _needs_end(self) -> bool:
        """Whether something is read at the end."""
        at_end = [_read_at_end(self.bytes), *(_read_at_end(each, "end") for each in (self.depth, self.leaves))]
        at_end += [each.at == "end" for each in self.adds]
        return any(at_end) or bool(self.outcomes or self.opens or self.closes or self.passes)

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


def _read_at_end(given: Text | TimedSpec | None, default: str = "entry") -> bool:
    return given is not None and (given.when if isinstance(given, TimedSpec) else default) == "end"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
