# SPDX-License-Identifier: Apache-2.0
"""The inputs of a plan: facts about the kernel and one file's functions, and the user's wishes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Protocol, TypedDict

from otel_jb.arch.instruction import Price
from otel_jb.code.facts import FunctionCode
from otel_jb.config.model import Pair
from otel_jb.elf.usdt import Usdt
from otel_jb.model.dataclass import dataclass
from otel_jb.model.plan import EndStrategy, NamePart, Symbol, TrackClock
from otel_jb.model.reads import ReadProgram


class CallMeaning(Protocol):
    """What the plan needs of a `catalog.AtCall`: a call that a function makes."""

    @property
    def of(self) -> tuple[str, ...]:
        """Names of the function that is called."""
        ...

    @property
    def function(self) -> FunctionMeaning:
        """What the calling function means there."""
        ...


class FunctionMeaning(Protocol):
    """What the plan needs of a `catalog.FunctionProfile`."""

    @property
    def profile(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def primary(self) -> bool: ...
    @property
    def program(self) -> ReadProgram: ...
    @property
    def drop_reasons(self) -> tuple[str, ...]: ...
    @property
    def adds(self) -> tuple[str, ...]: ...
    @property
    def named(self) -> str:
        """What its profile calls it."""
        ...

    @property
    def adders(self) -> Mapping[str, frozenset[str]]:
        """By counter of `adds`: all functions of the profile that add to it, as the profile calls them."""
        ...

    @property
    def has_packets(self) -> bool: ...
    @property
    def has_bytes(self) -> bool: ...
    @property
    def has_depth(self) -> bool: ...
    @property
    def has_duplicates(self) -> bool: ...
    @property
    def has_underruns(self) -> bool: ...
    @property
    def stream_name(self) -> tuple[NamePart, ...]: ...
    @property
    def track_clock(self) -> TrackClock | None: ...
    @property
    def sources(self) -> tuple[tuple[str, tuple[str, ...]], ...]: ...
    @property
    def error_return(self) -> tuple[tuple[int, int], ...]: ...
    @property
    def return_width(self) -> int: ...
    @property
    def return_signed(self) -> bool: ...
    @property
    def uses_return(self) -> bool: ...
    @property
    def argument_registers(self) -> frozenset[int]: ...
    @property
    def uretprobe(self) -> object | None: ...
    @property
    def uretprobe_forbidden(self) -> str | None: ...
    @property
    def may_yield(self) -> bool: ...
    @property
    def generic(self) -> bool: ...
    @property
    def asked(self) -> bool: ...
    @property
    def attach_by_default(self) -> bool: ...
    @property
    def detail(self) -> bool: ...
    @property
    def untimed(self) -> bool: ...
    @property
    def untimed_in_detail(self) -> bool: ...
    @property
    def at_calls(self) -> Sequence[CallMeaning]:
        """The calls that tell what the function tells, all of them together; none where some of it cannot be read there."""
        ...


class Telling(TypedDict):
    """What a meaning makes of a probe, by the names that `Probe` has for it."""

    role: str
    primary: bool
    profile: str
    has_packets: bool
    has_bytes: bool
    has_depth: bool
    has_duplicates: bool
    has_underruns: bool
    drop_reasons: tuple[str, ...]
    adds: tuple[str, ...]
    sources: tuple[tuple[str, tuple[str, ...]], ...]
    stream_name: tuple[NamePart, ...]
    track_clock: TrackClock | None


def telling(meaning: FunctionMeaning) -> Telling:
    """What a probe of a function or mark with this meaning tells."""
    return {
        "role": meaning.role,
        "primary": meaning.primary,
        "profile": meaning.profile,
        "has_packets": meaning.has_packets,
        "has_bytes": meaning.has_bytes,
        "has_depth": meaning.has_depth,
        "has_duplicates": meaning.has_duplicates,
        "has_underruns": meaning.has_underruns,
        "drop_reasons": tuple(meaning.drop_reasons),
        "adds": tuple(meaning.adds),
        "sources": meaning.sources,
        "stream_name": meaning.stream_name,
        "track_clock": meaning.track_clock,
    }


class MatchedFunction(Protocol):
    """What the plan needs of a `catalog.Match`."""

    @property
    def symbol(self) -> Symbol: ...
    @property
    def function(self) -> FunctionMeaning: ...


#: A return probe must be cheaper than edge sites by this factor: they touch no return address.
WORTH_IT = 1.15


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """What this kernel does with probes. Costs are nanoseconds of one hit, the BPF program included.

    The defaults were measured on Linux 6.18 (docs/strategies.md); the agent puts its own measurements in their place.
    """

    version: tuple[int, int] = (6, 18)
    multi_links: bool = True  #: BPF_TRACE_UPROBE_MULTI (6.6)
    sessions: bool = True  #: BPF_TRACE_UPROBE_SESSION (6.13): a probe can leave its return half out, call by call
    shadow_stack_safe: bool = True  #: a return probe in a process with a user shadow stack does not kill it (6.11)
    seccomp_passes: bool = True  #: a return probe's system call is none that a filter of the process sees
    long_nops_emulated: bool = True  #: nops of 3 to 5 bytes (6.16)
    emulated_ns: float = 520.0
    stepped_ns: float = 9600.0
    uretprobe_ns: float = 500.0  #: of the return half

    @classmethod
    def of_version(cls, major: int, minor: int) -> KernelFacts:
        """What holds from the version alone."""
        version = (major, minor)
        return cls(
            version,
            multi_links=version >= (6, 6),
            sessions=version >= (6, 13),
            shadow_stack_safe=version >= (6, 11),
            # Return probes make a system call since 6.11; filters that do not know it are passed by since 6.14 (cf6cb56ef244).
            seccomp_passes=not (6, 11) <= version < (6, 14),
            long_nops_emulated=version >= (6, 16),
        )

    @property
    def prefers_return_probes(self) -> bool:
        """Whether entry plus return probe is so much cheaper than entry plus edge that a proven return probe is preferred."""
        return 2 * self.emulated_ns > WORTH_IT * (self.emulated_ns + self.uretprobe_ns)

    def cost_ns(self, price: Price) -> float:
        """The cost per hit of a probe on such an instruction."""
        cheap = price is Price.EMULATED or (price is Price.LONG_NOP and self.long_nops_emulated)
        return self.emulated_ns if cheap else self.stepped_ns


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file of the process: the functions that the catalog recognised in it, and their code."""

    file: str  #: path as the agent opens it
    build_id: str | None
    matches: Sequence[MatchedFunction]
    code: Mapping[int, FunctionCode] = field(default_factory=dict)  #: by address
    #: by address: (file offset, bytes) of the function's code and of other places where it may carry a probe
    text: Mapping[int, tuple[tuple[int, bytes], ...]] = field(default_factory=dict)
    identity: tuple[int, int] | None = None  #: device and inode, where they are known
    marks: Sequence[Usdt] = ()  #: its USDT probes
    callees: Mapping[str, Symbol] = field(default_factory=dict)  #: the functions of `FunctionMeaning.at_calls`, by name
    kernel: KernelFacts | None = None  #: what its plans go by; None: what holds now


@dataclass(frozen=True, slots=True)
class Options:
    """The user's wishes. Globs match a function's name without arguments, its full name or its mangled name."""

    end_strategy: EndStrategy | None = None  #: forces a safer one than the plan would choose
    unsafe_uretprobe: tuple[str, ...] = ()  #: functions that get a return probe even if it is not proven safe
    functions: tuple[str, ...] = ()  #: only these; empty: all
    any_function: tuple[str, ...] = ()  #: those of `functions` that mean functions of which nothing is known too
    exclude: tuple[str, ...] = ()
    max_probes: int | None = None
    inferred: bool = True  #: attach functions that were found by marks, if all marks agree
    doubtful: bool = False  #: also if they do not
    detail: bool = True  #: also attach functions that measure nothing new (`planner.detail`)
    pairs: tuple[Pair, ...] = ()  #: of functions, the entry of one of which ends what the other began
    usdt: tuple[str, ...] = ()  #: globs over `PROVIDER:NAME` of USDT probes
    target_named: bool = False  #: the user named the process or file, so functions that a mere pattern found count too
