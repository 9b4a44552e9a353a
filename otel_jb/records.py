"""The frozen records that travel between the packages.

Two groups. *Plan* records say where to probe and what to read; they flow from `elf`, `catalog` and `plan` to `kernel`.
*Stream* records are what `kernel` tells `telemetry`: targets, series, snapshots, slow calls, probe states. The stream
is serialisable (see `otel_jb.recording`): a recording is that stream in a file, and replay reads it back.

Addresses are virtual addresses of the ELF image unless the name says `offset` (a file offset). Times are nanoseconds of
CLOCK_MONOTONIC (`_ns`) unless the name says `_unix_nano`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum

from otel_jb.names import without_arguments

# --------------------------------------------------------------------------------------------------------------
# Read programs: what the kernel reads at the entry and at the end of a call (`kernel.reads` makes BPF instructions of them).


class Op(IntEnum):
    """Operations of a read program.

    A program works on 64-bit registers r0 to r15. At an entry r0 to r5 hold the integer arguments 1 to 6 and r6 the frame
    (address of the return address on x86-64, the stack pointer at entry on AArch64). At an end r0 holds the return value,
    r1 the bytes and r2 the stream that the entry emitted, r3 to r5 what it saved, r6 the frame. Others are 0.
    Jumps are relative, forward only: `skip` = how many of the following operations are left out.
    A READ that faults is counted under its `fieldno` and ends the program; nothing that it did not emit is credited,
    and the call's outcome is then unknown (counted as a fault, never guessed).
    """

    END = 0
    READ = 1  #: dst = *(width *)(src + imm); width: 1, 2, 4, 8, | SIGNED, | BIG_ENDIAN; `skip` holds fieldno
    MOVI = 2  #: dst = imm (sign-extended)
    MOV = 3  #: dst = src
    ADD = 4  #: dst += src
    SUB = 5  #: dst -= src
    ADDI = 6  #: dst += imm
    ANDI = 7  #: dst &= imm (sign-extended)
    SHRI = 8  #: dst >>= imm (logical)
    SHLI = 9  #: dst <<= imm
    EXT = 10  #: dst = the low width bytes of dst, sign-extended if SIGNED, else zero-extended
    JEQ = 11  #: if dst == imm (sign-extended, 64 bit): skip the next `skip` operations
    JNE = 12
    JLT = 13  #: signed
    JGE = 14  #: signed
    JMP = 15
    BYTES = 16  #: emit src as the packet's size (entry or end)
    STREAM = 17  #: emit src as the stream's identity (entry only): usually the address of the buffer object
    SAVE = 18  #: keep src in slot imm (0 to 2) for the end program (entry only)
    DEPTH = 19  #: emit src as the packets that the stream's buffer holds now
    OUTCOME = 20  #: what the call was: imm is an Outcome, or Outcome.DROP + index into `drop_reasons`
    CLOSE = 21  #: forget the buffer whose identity is src (its depth no longer counts)
    OPEN = 22  #: the buffer whose identity is src exists from now on and holds 0


SIGNED = 0x10
BIG_ENDIAN = 0x20
MAX_OPS = 32  #: operations of one program, the final END included
MAX_DROP_REASONS = 8
MAX_FIELDS = 8  #: fields whose faults are told apart


class Outcome(IntEnum):
    """What a returned call did with a packet; without an OUTCOME operation the call is PACKET."""

    PACKET = 0  #: handled one packet
    NO_PACKET = 1  #: carried none: RTCP, drain, empty get
    DUPLICATE = 2  #: handled one packet, which was a duplicate
    DROP = 8  #: + index of the reason: handled one packet and discarded it


@dataclass(frozen=True, slots=True)
class ReadOp:
    """One operation of a read program."""

    op: Op
    dst: int = 0
    src: int = 0
    width: int = 0
    skip: int = 0
    imm: int = 0


@dataclass(frozen=True, slots=True)
class ReadProgram:
    """Entry and end program of a function; `fields` names the field numbers that READ operations count faults under."""

    entry: tuple[ReadOp, ...] = ()
    end: tuple[ReadOp, ...] = ()
    fields: tuple[str, ...] = ()


# --------------------------------------------------------------------------------------------------------------
# Symbols


class SymbolSource(Enum):
    """Where a symbol came from."""

    SYMTAB = ".symtab"
    DYNSYM = ".dynsym"
    DEBUG_FILE = "debug file"
    MINI_DEBUG = ".gnu_debugdata"


@dataclass(frozen=True, slots=True)
class Symbol:
    """A function symbol. `size` is 0 where the table does not say; aliases are other names of the same address."""

    name: str
    address: int
    size: int
    source: SymbolSource
    demangled: str  #: full demangled name with arguments; equal to `name` where it is not mangled
    aliases: tuple[str, ...] = ()

    @property
    def function(self) -> str:
        """Demangled name without arguments, template arguments kept: `SrsRtpJitterBuffer::put`."""
        return without_arguments(self.demangled)


# --------------------------------------------------------------------------------------------------------------
# Plan: where to probe


class EndStrategy(Enum):
    """How the end of a call is seen."""

    EDGE_SITES = "edge-sites"
    URETPROBE = "uretprobe"
    RET_SITES = "ret-sites"
    ENTRY_ONLY = "entry-only"


class SiteKind(Enum):
    """What a probe site does."""

    ENTRY = "entry"
    URETPROBE = "uretprobe"
    RET = "ret"
    EDGE = "edge"


class FrameBase(Enum):
    """The register that a site's frame is counted from."""

    SP = "sp"
    FP = "fp"  #: rbp on x86-64, x29 on AArch64


@dataclass(frozen=True, slots=True)
class ProbeSite:
    """One instruction that carries a probe.

    The frame (the key of a call in flight) is `frame_base` + `frame_offset` at this instruction. On x86-64 it is the address of
    the return address (CFA - 8), on AArch64 the CFA. For a URETPROBE site `address` is where the return probe sits.
    An EDGE site fires an end only if its condition holds: `condition` is the x86 condition code (0 to 15, low bit
    negates) or the AArch64 one, None for an unconditional one; `taken` tells which way is the way out.
    AArch64's `cbz/cbnz/tbz/tbnz` are never chosen as conditional sites.
    """

    kind: SiteKind
    address: int
    offset: int
    frame_base: FrameBase = FrameBase.SP
    frame_offset: int = 0
    condition: int | None = None
    taken: bool = False
    optional: bool = False  #: the end of a tail-called function: closes the call if it is open, is nothing otherwise
    return_valid: bool = True  #: the return register holds the function's return value here
    instruction: str = ""  #: disassembled, for people
    return_register: int | None = None  #: hardware number of the general register that holds it here instead


@dataclass(frozen=True, slots=True)
class Probe:
    """One function of one file, with everything the kernel needs to measure it."""

    function: str  #: code.function.name
    symbol: Symbol
    file: str  #: path as the agent opens it (may go through /proc/PID/root)
    build_id: str | None
    role: str
    primary: bool
    profile: str  #: profile id, or "generic"
    strategy: EndStrategy
    reason: str  #: why this strategy
    sites: tuple[ProbeSite, ...]
    read: ReadProgram
    has_packets: bool
    has_bytes: bool
    has_depth: bool
    has_duplicates: bool
    drop_reasons: tuple[str, ...] = ()
    error_return: tuple[
        tuple[int, int], ...
    ] = ()  #: inclusive ranges of the (sign-extended) return value that mean failure
    return_width: int = 0  #: bytes of the return value; 0: returns nothing
    return_signed: bool = True
    cost_ns: float = 0.0  #: predicted cost of one call, where known
    names: tuple[str, ...] = ()  #: all names at this address
    gated: bool = False  #: no return probe is put any more as soon as the process loads a further library


@dataclass(frozen=True, slots=True)
class Skipped:
    """A function that was found but is not probed."""

    function: str
    file: str
    profile: str
    reason: str


@dataclass(frozen=True, slots=True)
class LoadHook:
    """The dynamic loader's function that is called whenever it has mapped or unmapped a library, before that runs."""

    file: str  #: path as the agent opens it
    offset: int  #: in the file


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """What to attach to one process (or to predict for one file)."""

    probes: tuple[Probe, ...]
    skipped: tuple[Skipped, ...] = ()
    load_hook: LoadHook | None = None  #: where the process says that it loads a library, if a probe is gated


# --------------------------------------------------------------------------------------------------------------
# Stream: what kernel/ tells telemetry/


@dataclass(frozen=True, slots=True)
class Target:
    """A process that is measured."""

    id: int  #: dense number, never reused while the agent runs
    pid: int  #: as the host counts
    start_time_unix_nano: int
    name: str  #: executable's base name
    executable: str  #: path as the process sees it
    build_id: str | None
    service_name: str
    service_instance_id: str
    attached_unix_nano: int  #: start time of every cumulative point of this target
    attributes: tuple[tuple[str, str], ...] = ()  #: further resource attributes (container.id, k8s.*, configured ones)


@dataclass(frozen=True, slots=True)
class Series:
    """One probed function of one target: the identity behind a `SeriesSnapshot`."""

    id: int  #: dense number, never reused while the agent runs
    target: int  #: Target.id
    function: str  #: code.function.name; with arguments where two of one target would collide
    role: str
    primary: bool
    profile: str
    strategy: str
    reason: str
    file: str
    has_timing: bool
    has_packets: bool
    has_bytes: bool
    has_depth: bool
    has_duplicates: bool
    drop_reasons: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    error_return: tuple[tuple[int, int], ...] = ()


class ProbeState(Enum):
    """Where a probe stands."""

    ATTACHED = "attached"
    SHED = "shed"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ProbeStatus:
    """The state of one probe; a new record replaces the earlier one of the same (target, function, file)."""

    target: int
    function: str
    file: str
    profile: str
    state: ProbeState
    reason: str
    strategy: str = ""
    series: int | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """A series over the agent's last complete interval; only calls that returned in it."""

    count: int
    sum_ns: int
    min_ns: int
    max_ns: int


@dataclass(frozen=True, slots=True)
class SeriesSnapshot:
    """Cumulative values of one series since it was attached. Entries = returned + abandoned + missed + untimed + in_flight.

    `buckets` are counts, one a bucket of `Snapshot.bounds_ns` plus the last (+Inf). `untimed` counts entries of a function
    whose ends are not observed (strategy entry-only); `orphan_ends` are ends of calls that were already running when the
    probe was attached, or whose entry was missed: they are in no other number.
    """

    series: int
    returned: int
    abandoned: int
    missed: int
    untimed: int
    in_flight: int
    orphan_ends: int
    sum_ns: int
    buckets: tuple[int, ...]
    no_packet: int
    unknown: int  #: returned calls whose outcome could not be read
    bytes: int
    drops: tuple[int, ...]  #: by `Series.drop_reasons`
    duplicates: int
    faults: tuple[int, ...]  #: by `Series.fields`
    slow: int  #: calls over the threshold
    events_emitted: int
    events_suppressed: int  #: held back by the token bucket
    events_lost: int  #: the ring buffer was full
    attached_ns: int  #: how long the probe was attached, in all
    interval: Interval | None = None  #: None: no call returned in the last complete interval
    minmax_lost: int = 0


@dataclass(frozen=True, slots=True)
class DepthSnapshot:
    """Packets held by the live buffers of one target, as its functions of one role group last read them."""

    target: int
    series: int  #: the series that reads the depth
    packets: int  #: sum over live buffers
    buffers: int
    max_packets: int | None  #: fullest buffer in the last complete interval; None: no reading in it


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that the kernel counted, read at one moment."""

    time_unix_nano: int
    time_ns: int
    bounds_ns: tuple[int, ...]  #: upper bounds, inclusive, of the buckets; one more bucket than bounds
    series: tuple[SeriesSnapshot, ...]
    depths: tuple[DepthSnapshot, ...] = ()
    interval_ns: int = 0  #: length of the last complete interval


@dataclass(frozen=True, slots=True)
class NestedCall:
    """A probed call that ran inside a slow one."""

    series: int
    frame: int
    start_ns: int
    end_ns: int


Memory = bytes  #: inside SlowCall the word `bytes` means the field, to type checkers and to get_type_hints alike


@dataclass(frozen=True, slots=True)
class SlowCall:
    """A call over its function's threshold."""

    series: int
    thread_id: int
    thread_name: str
    frame: int
    start_ns: int
    end_ns: int
    bytes: int | None
    stream: int | None
    return_value: int | None
    outcome: int | None
    stack: tuple[
        int, ...
    ] = ()  #: return addresses by frame pointers, innermost first, absolute addresses of the process
    stack_pointer: int = 0
    instruction_pointer: int = 0
    frame_pointer: int = 0
    link_register: int = 0  #: AArch64: where a call leaves the return address
    stack_copy: Memory = b""  #: memory from `stack_pointer` upwards
    nested: tuple[NestedCall, ...] = ()
    nested_omitted: int = 0  #: more ran inside than the event has room for


@dataclass(frozen=True, slots=True)
class TargetEnded:
    """The process is gone; its last snapshot came before this record."""

    target: int
    time_unix_nano: int


@dataclass(frozen=True, slots=True)
class AgentCost:
    """Measured at start: seconds that one probe hit of each kind costs on this machine."""

    seconds_by_kind: tuple[tuple[str, float], ...] = field(default=())


StreamRecord = Target | Series | ProbeStatus | Snapshot | SlowCall | TargetEnded | AgentCost
