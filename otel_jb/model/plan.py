# SPDX-License-Identifier: Apache-2.0
"""Plan records: the functions to probe, the instructions to probe them at, and what to read there.

Addresses are virtual addresses of the ELF image unless the name says `offset` (a file offset).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from fnmatch import fnmatchcase

from otel_jb.model.arguments import SiteArguments
from otel_jb.model.dataclass import dataclass
from otel_jb.model.names import base_name, literal_receiver, without_arguments
from otel_jb.model.reads import ReadOp, ReadProgram
from otel_jb.model.text import make_printable


class SymbolSource(Enum):
    """The source of a symbol."""

    SYMTAB = ".symtab"
    DYNSYM = ".dynsym"
    DEBUG_FILE = "debug file"
    MINI_DEBUG = ".gnu_debugdata"
    GOPCLNTAB = ".gopclntab"
    USDT = ".note.stapsdt"
    PLACE = "named by its address"  #: no table has it
    INFERRED = "inferred"  #: no table has it; the profile's marks lead to it


USDT = "usdt:"  #: what the names of USDT probes begin with; PROVIDER:NAME follows


@dataclass(frozen=True, slots=True)
class Symbol:
    """A function symbol. `size` is 0 if the table does not say; aliases are other names of the same address."""

    name: str
    address: int
    size: int
    source: SymbolSource
    demangled: str  #: full demangled name with arguments; equal to `name` if that is not mangled
    aliases: tuple[str, ...] = ()
    evidence: str = ""  #: of an inferred function: what led to it
    doubt: str = ""  #: of an inferred function: why it may be another
    rivals: int = 0  #: of an inferred function: how many other functions it may be just as well

    @property
    def function(self) -> str:
        """Demangled name without arguments but with template arguments: `SrsRtpJitterBuffer::put`."""
        return without_arguments(self.demangled)

    def is_meant(self, globs: Iterable[str]) -> bool:
        """Whether one of the globs fits a name of the function: without arguments, whole, mangled, of what it is a variant, or an alias."""
        texts = (self.function, self.demangled, self.name, base_name(self.name), *self.aliases)
        return any(fnmatchcase(text, glob) for glob in map(literal_receiver, globs) for text in texts)


class EndStrategy(Enum):
    """How the end of a call is observed."""

    EDGE_SITES = "edge-sites"
    URETPROBE = "uretprobe"
    RET_SITES = "ret-sites"
    ENTRY_ONLY = "entry-only"
    START_STOP = "start-stop"  #: between the entries of two functions, which the user named

    @property
    def changes_return_address(self) -> bool:
        """Whether the kernel writes to the target's stack, so that the strategy must be proven to be safe, and is never forced."""
        return self is EndStrategy.URETPROBE

    @property
    def timed(self) -> bool:
        """Whether ends are seen at all."""
        return self is not EndStrategy.ENTRY_ONLY


class SiteKind(Enum):
    """The purpose of a probe site."""

    ENTRY = "entry"
    URETPROBE = "uretprobe"
    RET = "ret"
    EDGE = "edge"
    STOP = "stop"  #: the entry of the function that ends what another one began


class FrameBase(Enum):
    """The register from which a site's frame is computed."""

    SP = "sp"
    FP = "fp"  #: rbp on x86-64, x29 on AArch64


class Origin(Enum):
    """The kind of place that holds a return value."""

    RESULT = "result"  #: the return register
    REGISTER = "register"
    CONSTANT = "constant"
    STACK = "stack"


SITE_REGISTERS = 16  #: general registers that the code of a site can read: all of x86-64's, the first of AArch64's


@dataclass(frozen=True, slots=True)
class ReturnPlace:
    """Where an end site finds the function's return value: `width` bytes, sign-extended if `signed`, otherwise zero-extended.

    `number` is the hardware number of a general register, the constant itself, or the stack offset from the frame. Raises ValueError
    if it is impossible, since the sandbox may have sent it.
    """

    kind: Origin
    number: int = 0
    width: int = 8
    signed: bool = False
    known: int = 8  #: how many low bytes of the result belong to the return value; the rest is undefined

    def __post_init__(self) -> None:
        limits = {
            Origin.RESULT: (0, 0),
            Origin.REGISTER: (0, SITE_REGISTERS - 1),
            Origin.STACK: (-(1 << 31), (1 << 31) - 1),
        }
        low, high = limits.get(self.kind, (-(1 << 63), (1 << 63) - 1))
        if not low <= self.number <= high or self.width not in (1, 2, 4, 8) or not 1 <= self.known <= 8:
            raise ValueError(f"not a place for a return value: {self.kind.value} {self.number}, {self.width} bytes")


IN_RESULT = ReturnPlace(Origin.RESULT)


@dataclass(frozen=True, slots=True)
class ProbeSite:
    """One instruction that carries a probe.

    The frame, which is the key of a call in flight, is `frame_base` + `frame_offset` at this instruction. On x86-64 it is the address
    of the return address (CFA - 8), on AArch64 the CFA. For a URETPROBE site, `address` is where the return probe sits.
    An EDGE site is an end only if its condition holds: `condition` is the x86 condition code (0 to 15; the low bit negates) or the
    AArch64 one, None for an unconditional branch. `taken` says which way leads out. AArch64's `cbz/cbnz/tbz/tbnz` are never
    chosen as conditional sites.
    """

    kind: SiteKind
    address: int
    offset: int
    frame_base: FrameBase = FrameBase.SP
    frame_offset: int = 0
    condition: int | None = None
    taken: bool = False
    optional: bool = False  #: the end of a tail-called function: closes the call if it is open, otherwise means nothing
    instruction: str = ""  #: disassembled, for people
    returned: ReturnPlace | None = IN_RESULT  #: where the return value is at this site; None: unknown
    #: The site is an end of a function that this one calls last. It also ends this one's call if these return addresses are on the
    #: stack: (offset from the frame, distance from `address` to the return address).
    callers: tuple[tuple[int, int], ...] = ()
    semaphore: int = 0  #: file offset of the counter that the kernel raises while the probe is attached; 0: none
    arguments: SiteArguments | None = None  #: of a USDT probe that reads some

    @property
    def has_code(self) -> bool:
        """Whether the kernel must check more at this site than frame and condition."""
        return bool(self.callers) or (self.returned is not None and self.returned != IN_RESULT)


@dataclass(frozen=True, slots=True)
class NamePart:
    """Where a part of a stream's name is, as programs over the buffer's address in register 5 that emit it as STREAM."""

    address: tuple[ReadOp, ...]  #: of its first byte
    length: tuple[ReadOp, ...] = ()  #: in bytes; none: it ends with a zero


@dataclass(frozen=True, slots=True)
class TrackClock:
    """Where the server itself has the clock rate of what it receives under an SSRC: in one of a buffer's tracks.

    All are programs as those of a `NamePart`: `arrays` over the buffer's address, the others over the track's.
    """

    arrays: tuple[
        tuple[tuple[ReadOp, ...], tuple[ReadOp, ...]], ...
    ]  #: of pointers to tracks: where each begins and ends
    ssrc: tuple[ReadOp, ...]
    payload_type: tuple[ReadOp, ...]
    hertz: tuple[ReadOp, ...]


@dataclass(frozen=True, slots=True)
class PairKey:
    """How a pair of functions knows which end belongs to which beginning: by the thread (0; in Go code the goroutine), or by the argument of
    this number, 1 to 6, which both have alike.
    """

    start: int = 0
    stop: int = 0


@dataclass(frozen=True, slots=True)
class Probe:
    """One function of one file, with everything needed to measure it."""

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
    has_packets: bool = False
    has_bytes: bool = False
    has_depth: bool = False
    has_duplicates: bool = False
    has_underruns: bool = False
    drop_reasons: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()  #: names of `model.added`, by the number of the counter
    sources: tuple[
        tuple[str, tuple[str, ...]], ...
    ] = ()  #: structs from which `bytes`, `depth`, `outcome` and `packet` are read
    error_return: tuple[
        tuple[int, int], ...
    ] = ()  #: inclusive ranges of the (sign-extended) return value that mean failure
    return_width: int = 0  #: bytes of the return value; 0: returns nothing
    return_signed: bool = True
    cost_ns: float = 0.0  #: predicted cost of one call, if known
    names: tuple[str, ...] = ()  #: all names at this address
    stream_name: tuple[
        NamePart, ...
    ] = ()  #: what people call a buffer of this function; its parts are joined by slashes
    track_clock: TrackClock | None = None  #: where the clock rates of its streams are
    #: (file offset, bytes) of the analysed code: the function's own, and the code around its other sites
    code: tuple[tuple[int, bytes], ...] = ()
    identity: tuple[int, int] | None = None  #: device and inode of the file that was analysed, where they are known
    goroutine: bool = (
        False  #: Go code: a call belongs to a goroutine, and its arguments are where Go's calling convention has them
    )
    may_yield: bool = False  #: within a call its thread may run something else: a coroutine, a goroutine
    pair: PairKey | None = None  #: of START_STOP: `function` is the pair's name, `symbol` the function that begins
    callee: str = ""  #: the function whose call by this one is probed, if that stands for the function itself

    @property
    def place(self) -> tuple[int, str]:
        """What tells the probes of one file apart: where the function is, and the name of the pair that it begins, of the USDT probe there, or of
        what it calls where the probe is.
        """
        apart = self.pair is not None or self.symbol.source is SymbolSource.USDT
        return self.symbol.address, self.function if apart else self.callee

    @property
    def meaning(self) -> tuple[object, ...]:
        """What the values of this probe mean; the same function under another profile may count something else."""
        means = (self.role, self.primary, self.profile, self.read, self.drop_reasons, self.adds, self.error_return)
        return (*means, self.has_packets, self.has_bytes, self.has_depth, self.has_duplicates, self.has_underruns)

    def __post_init__(self) -> None:
        make_printable(self, "function")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A function that was found but will not be probed."""

    function: str
    file: str
    profile: str
    reason: str

    def __post_init__(self) -> None:
        make_printable(self, "function", "reason")


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """The probes to attach to one process, or to predict for one file."""

    probes: tuple[Probe, ...]
    skipped: tuple[Skipped, ...] = ()
