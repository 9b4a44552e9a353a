"""The schema of a profile file, and `FunctionProfile`, what the rest of the agent knows of one function.

The dataclasses named *...Spec* mirror the YAML (docs/profiles.md); `otel_jb.config.yamlfile` reads them, so their names are the keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import Enum
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Literal

from otel_jb.catalog.compile import Meaning, Rule, compile_meaning, registers_read
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
    is_condition,
    parts,
    resolve,
)
from otel_jb.config.yamlfile import KeyValueError
from otel_jb.model.errors import ConfigError
from otel_jb.model.reads import MAX_DROP_REASONS, SIGNED, Outcome, ReadProgram


class Role(Enum):
    """What a function does to the buffer; `jitterbuffer.role` of its series."""

    PUT = "put"  #: a packet goes in
    GET = "get"  #: a packet comes out
    PARSE = "parse"  #: a packet is taken apart or classified on its way in
    DECODE = "decode"  #: a packet or frame is decoded on its way out
    RESET = "reset"  #: what is inside is thrown away
    OPEN = "open"  #: a buffer comes into being
    CLOSE = "close"  #: a buffer ends
    DROP = "drop"  #: packets are given up
    NACK = "nack"  #: missing packets are noted or asked for
    QUERY = "query"  #: looks at the buffer, moves nothing
    WAIT = "wait"  #: waits for a packet
    TICK = "tick"  #: the buffer's clock advances


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
    """An expression and the moment when it is read."""

    value: Text
    when: Literal["entry", "end"]


@dataclass(frozen=True, slots=True)
class OutcomeSpec:
    """One rule on what a returned call was; the first that holds decides."""

    is_: Literal["packet", "no_packet", "duplicate", "drop"] = field(metadata={"key": "is"})
    when: Text | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.is_ == "drop") != (self.reason is not None):
            raise KeyValueError("reason", "a drop has a reason, and nothing else has")


@dataclass(frozen=True, slots=True)
class UretprobeSpec:
    """`vouch`: why a return probe is safe here, with its source. `forbid`: why there must never be one."""

    vouch: str | None = None
    forbid: str | None = None

    def __post_init__(self) -> None:
        if (self.vouch is None) == (self.forbid is None):
            raise ValueError("give either 'vouch' or 'forbid'")


@dataclass(frozen=True, slots=True)
class MarkerSpec:
    """Where a name may be believed: holds if any glob of any kind matches, or any of the symbols is in the file."""

    soname: tuple[str, ...] = ()
    executable: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()

    def holds(self, soname: str | None, executable: str, names: frozenset[str]) -> bool:
        """Whether the file bears one of the marks."""
        return (
            (soname is not None and any(fnmatchcase(soname, glob) for glob in self.soname))
            or any(fnmatchcase(executable, glob) for glob in self.executable)
            or any(name in names for name in self.symbols)
        )


@dataclass(frozen=True, slots=True)
class IgnoredSpec:
    """A function that looks like one of a jitter buffer and is none, or whose calls tell nothing."""

    names: tuple[str, ...]
    reason: str


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
    depth: Text | TimedSpec | None = None
    outcomes: tuple[OutcomeSpec, ...] = ()
    errors: tuple[ReturnRange, ...] = ()
    opens: Text | None = None
    closes: Text | None = None
    may_yield: bool = False
    throws: bool = False
    uretprobe: UretprobeSpec | None = None
    attach: Literal["default", "named"] = "default"
    only: MarkerSpec | None = None
    layout: MarkerSpec | None = None
    versions: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        if self.returns == "void" and self.errors:
            raise KeyValueError("errors", "a function that returns nothing has no error returns")
        if (self.may_yield or self.throws) and self.uretprobe and self.uretprobe.vouch:
            raise KeyValueError("uretprobe", "a function that yields or throws cannot be vouched for")
        if self.depth is not None and self.stream is None:
            raise KeyValueError("depth", "a depth belongs to a stream: the key 'stream' is missing")
        if len(self.drop_reasons) > MAX_DROP_REASONS:
            raise KeyValueError("outcomes", f"more than {MAX_DROP_REASONS} reasons for a drop")
        if self.bytes is not None and not self.handles_packets:
            raise KeyValueError("bytes", f"a function of role {self.role.value} handles no packet")

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
    layout: MarkerSpec | None = None
    versions: str = ""
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    structs: dict[str, dict[str, FieldPlace]] = field(default_factory=dict)
    values: dict[str, Text] = field(default_factory=dict)
    ignored: tuple[IgnoredSpec, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,40}", self.profile) or self.profile == "generic":
            raise KeyValueError("profile", f"{self.profile!r} is no profile id: small letters, digits and hyphens")
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
    """Why a return probe on a function is safe, with the source of that knowledge."""

    reference: str


@dataclass(frozen=True)
class FunctionProfile:
    """What a profile knows of one function of one name.

    `trusted` is False where the reads of the profile cannot be believed: in a compiler's clone of the function, whose arguments
    may differ, or in a version whose layouts are not known. Such a function is counted and timed, no more.
    """

    profile: str
    name: str
    role: str
    primary: bool
    spec: FunctionSpec
    scope: Scope = field(repr=False, default=Scope({}, {}))
    generic: bool = False
    trusted: bool = True
    return_trusted: bool = True  #: False in clones, whose return value may be another
    whole: bool = True  #: False for `.part` clones: a call of one is not a call of the function
    notes: str = ""

    @cached_property
    def meaning(self) -> Meaning:
        """The profile's expressions with names resolved. Raises ConfigError with the place of what is wrong."""
        found = _meaning(self.spec, self.scope)
        if self.trusted:
            return found
        by_return = self.return_trusted and found.packet_when is None and all(_by_return(r.when) for r in found.rules)
        return Meaning(rules=found.rules if by_return else (), return_width=found.return_width)

    @cached_property
    def program(self) -> ReadProgram:
        """What the kernel reads. Raises ConfigError where it has no room for that."""
        if not self.whole:
            return ReadProgram()
        try:
            return compile_meaning(self.meaning)
        except ValueError as error:
            raise ConfigError(f"{self.spec.line}: {self.name}: {error}") from None

    @property
    def has_packets(self) -> bool:
        """Whether packets can be counted."""
        if not self.whole or not self.spec.handles_packets:
            return False
        if self.trusted:
            return True
        return self.spec.packet_when is None and len(self.meaning.rules) == len(self.spec.outcomes)

    @property
    def has_bytes(self) -> bool:
        """Whether the size of a packet is known."""
        return self.whole and (self.meaning.bytes_entry is not None or self.meaning.bytes_end is not None)

    @property
    def has_depth(self) -> bool:
        """Whether the packets held can be read."""
        return self.whole and (self.meaning.depth_entry is not None or self.meaning.depth_end is not None)

    @property
    def has_duplicates(self) -> bool:
        """Whether duplicates can be told."""
        return self.has_packets and any(rule.outcome == Outcome.DUPLICATE for rule in self.meaning.rules)

    @property
    def drop_reasons(self) -> tuple[str, ...]:
        """Reasons of drops that can be told; an outcome of the program is an index into it."""
        return self.spec.drop_reasons if self.has_packets and self.meaning.rules else ()

    @property
    def error_return(self) -> tuple[tuple[int, int], ...]:
        """Inclusive ranges of the extended return value that mean failure."""
        return tuple((errors.low, errors.high) for errors in self.spec.errors) if self.return_trusted else ()

    @property
    def return_width(self) -> int:
        """Bytes of the return value, 0 if there is none."""
        return 0 if self.spec.returns == "void" else WIDTHS[self.spec.returns] & 15

    @property
    def return_signed(self) -> bool:
        """Whether the return value is to be sign-extended."""
        return self.spec.returns != "void" and bool(WIDTHS[self.spec.returns] & SIGNED)

    @property
    def uses_return(self) -> bool:
        """Whether the end program reads the return value, so that an end without it tells less."""
        return 0 in registers_read(self.program.end)

    @property
    def argument_registers(self) -> frozenset[int]:
        """Integer arguments (1 to 6) that the entry program reads: an entry site must come before they change."""
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
        """The profile's word that a return probe is safe here."""
        vouch = self.spec.uretprobe.vouch if self.spec.uretprobe else None
        return Vouch(vouch) if vouch else None

    @property
    def uretprobe_forbidden(self) -> str | None:
        """Why there must never be a return probe here."""
        if self.spec.uretprobe and self.spec.uretprobe.forbid:
            return self.spec.uretprobe.forbid
        if self.spec.may_yield:
            return "it can switch coroutines inside"
        return "exceptions can pass through it" if self.spec.throws else None

    @property
    def attach_by_default(self) -> bool:
        """False: only where the user names the function."""
        return self.spec.attach == "default" and not self.generic

    def untrusted(self, note: str, *, return_trusted: bool, whole: bool = True) -> FunctionProfile:
        """The same function without anything that is read from arguments or memory, or (a clone) from its return value."""
        return replace(
            self,
            trusted=False,
            return_trusted=return_trusted,
            whole=whole,
            primary=self.primary and whole,
            notes=f"{note} {self.notes}".strip(),
        )


def _meaning(spec: FunctionSpec, scope: Scope) -> Meaning:
    stream = resolve(spec.stream, scope) if spec.stream else None
    if stream is not None and spec.stream is not None:
        scope = Scope({**scope.values, "stream": replace(spec.stream, tree=AtEntry(stream))}, scope.structs)

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

    def timed(given: Text | TimedSpec | None, default: str) -> tuple[Expression | None, Expression | None]:
        if given is None:
            return None, None
        text, when = (given.value, given.when) if isinstance(given, TimedSpec) else (given, default)
        tree = value(text, at_entry=when == "entry")
        return (tree, None) if when == "entry" else (None, tree)

    bytes_entry, bytes_end = timed(spec.bytes, "entry")
    if bytes_entry is not None:
        text = spec.bytes.value if isinstance(spec.bytes, TimedSpec) else spec.bytes
        assert text is not None
        scope = Scope({**scope.values, "bytes": replace(text, tree=AtEntry(bytes_entry))}, scope.structs)
    depth_entry, depth_end = timed(spec.depth, "end")
    outcomes = {"packet": Outcome.PACKET, "no_packet": Outcome.NO_PACKET, "duplicate": Outcome.DUPLICATE}
    rules = tuple(
        Rule(
            value(rule.when, condition=True),
            outcomes[rule.is_] if rule.reason is None else Outcome.DROP + spec.drop_reasons.index(rule.reason),
        )
        for rule in spec.outcomes
    )
    return Meaning(
        stream=stream,
        packet_when=value(spec.packet_when, condition=True, at_entry=True),
        bytes_entry=bytes_entry,
        bytes_end=bytes_end,
        depth_entry=depth_entry,
        depth_end=depth_end,
        rules=rules,
        opens=value(spec.opens),
        closes=value(spec.closes, at_entry=True),
        return_width=0 if spec.returns == "void" else WIDTHS[spec.returns],
    )


def _by_return(tree: Expression | None) -> bool:
    """Whether the condition rests on the return value alone."""
    return tree is None or not any(isinstance(part, (Read, Argument, AtEntry)) for part in parts(tree))


def _nonzero(tree: Expression) -> Expression:
    return Compare(tree, less=False, number=0, negated=True)
