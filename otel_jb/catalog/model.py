# SPDX-License-Identifier: Apache-2.0
"""`FunctionProfile`: what the rest of the agent knows about one function, from its part of a profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from functools import cached_property

from otel_jb.catalog.compile import (
    BUFFER,
    RTP_SEQUENCE,
    Addition,
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
from otel_jb.catalog.spec import FunctionSpec, OutcomeSpec, TimedSpec, TrackClockSpec
from otel_jb.model.added import ADDED
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ConfigError
from otel_jb.model.plan import NamePart, TrackClock
from otel_jb.model.reads import SIGNED, Outcome, ReadOp, ReadProgram


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
    unchecked: str = ""  #: says that this is a version that the profile was not checked with
    whole: bool = True  #: False for `.part` clones: a call of one is not a call of the function
    adders: Mapping[str, frozenset[str]] = field(repr=False, default_factory=dict)  #: see `FunctionMeaning.adders`
    notes: str = ""

    @property
    def named(self) -> str:
        """What the profile calls it, by whatever name it was found."""
        return self.spec.name

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
        """The structs that each value is read from: of `bytes`, `depth`, `outcome`, `rtp`, `residence`, `packet` and the names in `adds`, those that need any."""
        if not self.whole or not self.trusted:
            return ()
        texts = {
            "bytes": [_text(self.spec.bytes)] if self.has_bytes else [],
            "depth": [_text(self.spec.depth)] if self.has_depth else [],
            "outcome": [rule.when for rule in self._outcomes[: len(self.meaning.rules)]],
            "rtp": [self.spec.rtp, _text(self.spec.bytes)] if self.has_rtp else [],
            "residence": [self.spec.enters, _text(self.spec.leaves), self.spec.passes] if self.moves_packets else [],
            "packet": [self.spec.packet_when, *(rule.when for rule in self.spec.outcomes if rule.is_ in _NONE)],
            **{each.to: [each.value, each.when] for each in self.spec.adds if each.to in self.adds},
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
    def track_clock(self) -> TrackClock | None:
        """Where the server has the clock rates of a buffer's streams."""
        return self.meaning.track_clock if self.whole else None

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
    def adds(self) -> tuple[str, ...]:
        """The counters that calls add to, by number; of those whose values can be read."""
        known = (*self.meaning.adds_entry, *self.meaning.adds_end) if self.whole else ()
        return tuple(each.name for each in sorted(known, key=lambda each: each.number))

    @cached_property
    def at_calls(self) -> tuple[AtCall, ...]:
        """The calls that the function makes which tell what it tells; none where one of their values cannot be read in this file."""
        if not self.trusted or not self.whole or self.inferred or self.absent_at_calls:
            return ()
        return self._all_at_calls

    @property
    def absent_at_calls(self) -> tuple[str, ...]:
        """Of what its calls should tell, what cannot be read in this file, as `absent`."""
        return tuple(dict.fromkeys(text for each in self._all_at_calls for text in each.function.absent))

    @cached_property
    def _all_at_calls(self) -> tuple[AtCall, ...]:
        return tuple(AtCall(each.of, replace(self, spec=each.of_function(self.spec))) for each in self.spec.at_calls)

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

    @property
    def untimed(self) -> bool:
        """True: timed only where the user asks for everything, or names the function."""
        return self.spec.times != "default"

    @property
    def untimed_in_detail(self) -> bool:
        """True: timed only where the user names the function."""
        return self.spec.times == "named"

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


@dataclass(frozen=True, slots=True)
class AtCall:
    """A call that a function makes, and what the function means there."""

    of: tuple[str, ...]  #: names of the function that is called
    function: FunctionProfile


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

    def later(text: Text, of: str = "stream") -> tuple[ReadOp, ...]:
        """What user space runs, with nothing but the address of what is called `of`."""
        try:
            return compile_of_buffer(resolve(text, Scope({**scope.values, of: Text(of, "", BUFFER)}, scope.structs)))
        except ValueError as error:
            raise text.fail(str(error)) from None

    def place_name() -> tuple[NamePart, ...]:
        try:
            return tuple(
                NamePart(later(part.text), later(part.length) if part.length is not None else ())
                for part in spec.stream_name
            )
        except UnplacedError as error:
            absent.append(f"no names of streams: where {error.field} is, is not known: {error.why}")
            return ()

    def place_clock(given: TrackClockSpec) -> TrackClock | None:
        try:
            return TrackClock(
                tuple((later(array.begin), later(array.end)) for array in given.tracks),
                later(given.ssrc, "track"),
                later(given.payload_type, "track"),
                later(given.hertz, "track"),
            )
        except UnplacedError as error:
            absent.append(f"no clock rates of its own: where {error.field} is, is not known: {error.why}")
            return None

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
    added: dict[str, list[Addition]] = {"entry": [], "end": []}
    for add in spec.adds:
        what, at_entry = add.to.replace("_", " "), add.at == "entry"
        when = place(what, add.when, condition=True, at_entry=at_entry)
        amount = place(what, add.value, at_entry=at_entry) if when is not None or add.when is None else None
        if amount is not None:
            count = len(added["entry"]) + len(added["end"])
            added[add.at].append(Addition(count, add.to, amount, when, add.limit, ADDED[add.to].is_mean))
    followed = rtp is not None and stream is not None
    stream_name = place_name() if followed else ()
    track_clock = place_clock(spec.track_clock) if followed and spec.track_clock is not None else None
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
        track_clock=track_clock,
        rules=tuple(rules) if packets_known else (),
        opens=place("opened buffers", spec.opens),
        closes=place("closed buffers", spec.closes, at_entry=True),
        return_width=0 if spec.returns == "void" else WIDTHS[spec.returns],
        enters=enters,
        leaves_entry=leaves_entry,
        leaves_end=leaves_end,
        passes=passes,
        empties=place("emptied buffers", spec.empties, at_entry=True),
        adds_entry=tuple(added["entry"]),
        adds_end=tuple(added["end"]),
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


def _text(given: Text | TimedSpec | None) -> Text | None:
    return given.value if isinstance(given, TimedSpec) else given


def _by_return(tree: Expression | None) -> bool:
    """Whether the condition depends only on the return value."""
    return tree is None or not any(isinstance(part, (Read, Argument, AtEntry)) for part in parts(tree))


def _nonzero(tree: Expression) -> Expression:
    return Compare(tree, less=False, number=0, negated=True)
