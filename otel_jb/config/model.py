# SPDX-License-Identifier: Apache-2.0
"""The schema of the configuration: keys, defaults and allowed values."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import field
from decimal import Decimal
from enum import Enum
from typing import TypeVar
from urllib.parse import urlsplit

from otel_jb.config.yamlfile import Duration, KeyValueError
from otel_jb.model.closest import closest
from otel_jb.model.dataclass import dataclass
from otel_jb.model.plan import EndStrategy

T = TypeVar("T")

OFF = frozenset({"off", "no", "false", "none"})
_DECIMAL = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,9})?")

#: 1 µs to 5 s, including the eight boundaries of the how-to that docs/from-the-guide.md is about.
DEFAULT_BOUNDARIES = tuple(
    Duration(ns)
    for ns in (
        *(1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000),
        *(1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000, 100_000_000, 250_000_000, 500_000_000),
        *(1_000_000_000, 2_500_000_000, 5_000_000_000),
    )
)


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address to listen on; port 0 lets the kernel choose."""

    host: str
    port: int

    @classmethod
    def from_yaml(cls, text: str) -> Address | None:
        """`HOST:PORT` or `[IPV6]:PORT`; `off` is None. Raises ValueError."""
        if text.lower() in OFF:
            return None
        match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+(?:%\w+)?)\]|([^\s:\[\]/]+)):([0-9]{1,5})", text)
        if match is None or int(match[3]) > 65535:
            raise ValueError(f"expected HOST:PORT such as 127.0.0.1:9310, or off, got {text[:60]!r}")
        return cls(match[1] or match[2], int(match[3]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class CpuShare(float):
    """A fraction of one CPU, written as a percentage: `10%`, `0.5%`."""

    __slots__ = ()

    @classmethod
    def from_yaml(cls, text: str) -> CpuShare | None:
        """`10%`; `off` is None. Raises ValueError."""
        if text.lower() in OFF:
            return None
        if not text.endswith("%") or not _DECIMAL.fullmatch(text[:-1].strip()) or not float(text[:-1]):
            raise ValueError(f"expected a percentage of one CPU such as 10%, or off, got {text[:60]!r}")
        return cls(Decimal(text[:-1].strip()) / 100)

    def __str__(self) -> str:
        return f"{_plain(Decimal(float.__repr__(self)) * 100)}%"


class StreamLimit(int):
    """How many RTP streams of a function have a label of their own."""

    __slots__ = ()

    @classmethod
    def from_yaml(cls, text: str) -> StreamLimit | None:
        """`20`; `off` is None. Raises ValueError."""
        if text.lower() in OFF:
            return None
        if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= 1000:
            raise ValueError(f"expected a number of streams from 1 to 1000, or off, got {text[:60]!r}")
        return cls(text)


class ClockRate(int):
    """Steps of the RTP time in a second."""

    __slots__ = ()

    @classmethod
    def from_yaml(cls, text: str) -> ClockRate:
        """`48000`. Raises ValueError."""
        if not re.fullmatch(r"[0-9]{1,9}", text) or not 1000 <= int(text) <= 10_000_000:
            raise ValueError(f"expected a clock rate in Hz from 1000 to 10000000, got {text[:60]!r}")
        return cls(text)


@dataclass(frozen=True, slots=True)
class Threshold:
    """When a call is slow: a fixed time, or a percentile of the function's own last minutes. Exactly one is set."""

    ns: int | None = None
    percentile: float | None = None

    @classmethod
    def from_yaml(cls, text: str) -> Threshold | None:
        """`10ms` or `p99.5`; `off` is None. Raises ValueError."""
        if text.lower() in OFF:
            return None
        if text.startswith("p"):
            if not _DECIMAL.fullmatch(text[1:]) or not 50 <= Decimal(text[1:]) < 100:
                raise ValueError(f"expected a percentile from p50 to p99.999, got {text[:60]!r}")
            return cls(percentile=float(text[1:]))
        try:
            ns = int(Duration.from_yaml(text))
        except ValueError:
            raise ValueError(
                f"expected a time such as 10ms, a percentile such as p99.5, or off, got {text[:60]!r}"
            ) from None
        if ns == 0:
            raise ValueError("a threshold of 0 would make every call slow; write a time above 0, or off")
        return cls(ns=ns)

    def __str__(self) -> str:
        if self.percentile is not None:
            return f"p{_plain(Decimal(repr(self.percentile)))}"
        return str(Duration(self.ns or 0))


class HistogramKind(Enum):
    """The histograms that OTLP sends; the Prometheus endpoint always has the explicit boundaries."""

    EXPLICIT = "explicit"
    EXPONENTIAL = "exponential"


class OtlpProtocol(Enum):
    """The values of OTEL_EXPORTER_OTLP_PROTOCOL that the exporters know."""

    GRPC = "grpc"
    HTTP = "http/protobuf"


class Compression(Enum):
    """The values of OTEL_EXPORTER_OTLP_COMPRESSION. gRPC has no deflate."""

    NONE = "none"
    GZIP = "gzip"
    DEFLATE = "deflate"


@dataclass(frozen=True, slots=True)
class OtlpTls:
    """Files for an OTLP endpoint with TLS; absolute paths, or relative to where the agent is started."""

    ca_file: str | None = None  #: authorities to trust instead of the system's
    cert_file: str | None = None  #: the client's own certificate
    key_file: str | None = None

    def __post_init__(self) -> None:
        if (self.cert_file is None) != (self.key_file is None):
            raise KeyValueError(
                "key_file" if self.cert_file is None else "cert_file", "cert_file and key_file go together"
            )

    def __bool__(self) -> bool:
        return self.ca_file is not None or self.cert_file is not None


@dataclass(frozen=True, slots=True)
class EndChoice:
    """The end strategy: the planner's own choice (None, `auto`), or a safer one forced."""

    strategy: EndStrategy | None = None

    @classmethod
    def known(cls) -> dict[str, EndChoice]:
        """Every choice, by the word for it."""
        safe = [None, *(e for e in EndStrategy if not e.changes_return_address and e is not EndStrategy.START_STOP)]
        return {str(cls(each)): cls(each) for each in safe}

    @classmethod
    def from_yaml(cls, text: str) -> EndChoice:
        """Raises ValueError."""
        known = cls.known()
        if text not in known:
            close = closest(text, known)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"expected one of {', '.join(known)}, got {text[:60]!r}{hint}")
        return known[text]

    def __str__(self) -> str:
        return "auto" if self.strategy is None else self.strategy.value


class Detail(Enum):
    """Which functions of a profile are attached if the user names none."""

    DEFAULT = "default"  #: only those that feed a metric that no other function feeds
    ALL = "all"


class Inferred(Enum):
    """Which functions of a stripped file are attached of those that are found by marks instead of by name."""

    AGREED = "agreed"  #: those whose marks all agree
    ALL = "all"  #: also the likeliest function where marks disagree or are missing
    NONE = "none"


class LinkKind(Enum):
    """How probes are attached; `auto` uses multi links if the kernel has them."""

    AUTO = "auto"
    MULTI = "multi"
    PERF = "perf"


class LogLevel(Enum):
    """The lowest severity that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(Enum):
    """Text for people, or one JSON object per line."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class TargetSelector:
    """Processes to measure: those of which everything that is given here holds, at least one thing. At most one of `pid`, `binary` and `name`."""

    pid: int | None = None
    binary: str | None = None  #: path of the executable, or of a library that the process maps
    name: str | None = None  #: glob over the executable's base name
    command: str | None = None  #: glob over the command line, its words joined by spaces
    user: str | None = None  #: name or number of the user that the process runs as
    port: int | None = None  #: TCP port that it listens on, or UDP port that it is bound to
    cgroup: str | None = None  #: glob over the path of a cgroup that it is in
    container: str | None = None  #: glob over the container's name, or the beginning of its id
    namespace: str | None = None  #: glob over the Kubernetes namespace of its pod
    pod: str | None = None  #: glob over the name of its pod
    labels: dict[str, str] = field(default_factory=dict)  #: labels that its container or pod has
    service_name: str | None = None  #: `service.name` of the target's resource; the executable's name unless given
    attributes: dict[str, str] = field(default_factory=dict)  #: additional resource attributes

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.pid, self.binary, self.name)) > 1:
            raise ValueError("a target has at most one of pid, binary and name")
        if not self.conditions():
            raise ValueError(
                "a target needs at least one condition: pid, binary, name, command, user, port, cgroup, container, namespace, pod or labels"
            )
        if self.pid is not None and not 0 < self.pid < 1 << 22:
            raise KeyValueError("pid", f"expected a process id from 1 to {(1 << 22) - 1}, got {self.pid}")
        if self.port is not None and not 0 < self.port < 1 << 16:
            raise KeyValueError("port", f"expected a port from 1 to 65535, got {self.port}")
        for key, value in self.conditions().items():
            if value == "":
                raise KeyValueError(key, f"{key} is empty")

    @property
    def names_program(self) -> bool:
        """Whether it says which program is meant, so that one which cannot be measured is worth a warning."""
        return self.pid is not None or self.binary is not None or self.name is not None

    def conditions(self) -> dict[str, object]:
        """What is given, by key."""
        keys = ("pid", "binary", "name", "command", "user", "port", "cgroup", "container", "namespace", "pod", "labels")
        return {key: value for key in keys if (value := getattr(self, key)) is not None and value != {}}

    def __str__(self) -> str:
        return ", ".join(f"{key} {value}" for key, value in self.conditions().items())


@dataclass(frozen=True, slots=True)
class Functions:
    """Which functions: globs over the demangled name without arguments or the symbol's own; empty `include` = all."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def selects(self, *names: str) -> bool:
        """Whether a function with these names (demangled, mangled, aliases) is wanted."""
        included = not self.include or _matches(self.include, names)
        return included and not _matches(self.exclude, names)

    @property
    def named(self) -> bool:
        """Whether the user named functions, which allows generic patterns to be attached."""
        return bool(self.include)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two functions, the entry of the second of which ends what that of the first began."""

    name: str  #: of the series: `code.function.name`
    start: str  #: as in `functions.include`, and only one function
    stop: str
    by: str = "thread"  #: what both have alike: `thread`, or `arg1` to `arg6` of the first function
    stop_by: str | None = None  #: of the second function, if it is another one there

    def __post_init__(self) -> None:
        for key in ("name", "start", "stop"):
            if not getattr(self, key).strip():
                raise KeyValueError(key, f"{key} is empty")
        for key in ("by", "stop_by"):
            if not re.fullmatch("thread|arg[1-6]", getattr(self, key) or "thread"):
                raise KeyValueError(key, f"expected thread or arg1 to arg6, got {getattr(self, key)[:60]!r}")
        if (self.by == "thread") != ((self.stop_by or self.by) == "thread"):
            raise KeyValueError("stop_by", "a thread at one end and an argument at the other have nothing in common")

    @property
    def keys(self) -> tuple[int, int]:
        """The arguments' numbers at both ends; 0: the thread."""
        return _argument(self.by), _argument(self.stop_by or self.by)


def _argument(text: str) -> int:
    return 0 if text == "thread" else int(text.removeprefix("arg"))


@dataclass(frozen=True, slots=True)
class Otlp:
    """Where to send OTLP; without an endpoint, nowhere."""

    endpoint: str | None = None
    protocol: OtlpProtocol | None = None  #: None: `http/protobuf` for port 4318 or a URL with a path, else `grpc`
    headers: dict[str, str] = field(default_factory=dict)
    compression: Compression | None = None  #: None: none, or what the environment says
    tls: OtlpTls = OtlpTls()

    def __post_init__(self) -> None:
        if self.endpoint is not None:
            _check_endpoint(self.endpoint)
            if self.tls and self.endpoint.startswith("http://"):
                raise KeyValueError("tls", f"{self.endpoint[:60]} does not use TLS; write https://")

    @property
    def effective_protocol(self) -> OtlpProtocol:
        """The configured protocol, or the one implied by the endpoint's port or path."""
        if self.protocol is not None:
            return self.protocol
        endpoint = self.endpoint or ""
        url = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
        return OtlpProtocol.HTTP if url.port == 4318 or url.path.strip("/") else OtlpProtocol.GRPC


@dataclass(frozen=True, slots=True)
class Histogram:
    """Buckets of the delay histogram; bounds are inclusive upper ones."""

    kind: HistogramKind = HistogramKind.EXPLICIT
    boundaries: tuple[Duration, ...] = DEFAULT_BOUNDARIES

    def __post_init__(self) -> None:
        if not 1 <= len(self.boundaries) <= 64:
            raise KeyValueError("boundaries", f"expected 1 to 64 boundaries, got {len(self.boundaries)}")
        if self.boundaries[0] == 0 or any(a >= b for a, b in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise KeyValueError("boundaries", "boundaries must be above 0 and ascend")


#: Roles of functions that wait for a packet or only look; their duration says nothing about a packet.
IDLE_ROLES = frozenset({"wait", "tick", "query"})


@dataclass(frozen=True, slots=True)
class Slow:
    """Slow calls: the thresholds, and how many events per second a probe may send (a token bucket)."""

    threshold: Threshold | None = Threshold(ns=10_000_000)
    functions: dict[str, Threshold | None] = field(default_factory=dict)  #: glob -> threshold; first match wins
    roles: dict[str, Threshold | None] = field(default_factory=dict)
    rate: int = 100  #: events per second and probe, in the long run
    burst: int = 200  #: events at once

    def __post_init__(self) -> None:
        for key in ("rate", "burst"):
            if not 1 <= getattr(self, key) <= 1_000_000:
                raise KeyValueError(key, f"expected {key} from 1 to 1000000, got {getattr(self, key)}")

    def of(self, function: str, role: str) -> Threshold | None:
        """The threshold of a function: its own, its role's or the general one; None = no events.

        The general threshold does not apply to functions that wait or look (`IDLE_ROLES`): an idle player sleeps in one for seconds.
        """
        for pattern, threshold in self.functions.items():
            if fnmatch.fnmatchcase(function, pattern):
                return threshold
        return self.roles.get(role, None if role in IDLE_ROLES else self.threshold)


_BUDGET = CpuShare(0.10)
_STREAMS = StreamLimit(20)
_INTERVAL = Duration(10_000_000_000)
_RETAIN = Duration(60_000_000_000)


@dataclass(frozen=True, slots=True)
class Rtp:
    """What is read of the RTP packets that pass."""

    streams: StreamLimit | None = _STREAMS  #: of a function, with a label of their own; None: RTP is left alone
    clock_rates: dict[str, ClockRate] = field(default_factory=dict)  #: by payload type, beside those of RFC 3551
    flight_recorder: bool = True  #: the last packets of each stream are kept, for the traces of slow calls

    def __post_init__(self) -> None:
        for key in self.clock_rates:
            if not re.fullmatch(r"[0-9]{1,3}", key) or int(key) > 127:
                raise KeyValueError("clock_rates", f"expected a payload type from 0 to 127, got {key[:20]!r}")

    @property
    def rates(self) -> dict[int, int]:
        """Clock rates in Hz by payload type."""
        return {int(key): int(rate) for key, rate in self.clock_rates.items()}


@dataclass(frozen=True, slots=True)
class Overhead:
    """The overhead budget of the probes."""

    budget: CpuShare | None = _BUDGET  #: of one CPU, per target, averaged over a minute; None = no governor


@dataclass(frozen=True, slots=True)
class Log:
    """The agent's own log, on stderr."""

    level: LogLevel = LogLevel.INFO
    format: LogFormat = LogFormat.TEXT


_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Page:
    """What the page at `/` shows beside the metrics."""

    slow_calls: bool = False  #: keep slow calls one by one even if no receiver gets traces
    trace_url: str | None = (
        None  #: of a trace in Jaeger, Tempo or Grafana; {trace_id}, {start_ms} and {end_ms} are filled in
    )

    def __post_init__(self) -> None:
        if self.trace_url is None:
            return
        names = set(_PLACEHOLDER.findall(self.trace_url))
        plain = self.trace_url.isascii() and self.trace_url.isprintable() and " " not in self.trace_url
        if not plain or not self.trace_url.startswith(("http://", "https://")) or "trace_id" not in names:
            raise KeyValueError(
                "trace_url",
                f"expected a URL such as http://jaeger:16686/trace/{{trace_id}}, got {self.trace_url[:80]!r}",
            )


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be configured; the defaults are the documented ones."""

    targets: tuple[TargetSelector, ...] = ()  #: empty: every process that a profile recognises
    functions: Functions = Functions()
    pairs: tuple[Pair, ...] = ()  #: measured in targets that are named
    usdt: tuple[str, ...] = ()  #: globs over `PROVIDER:NAME` of USDT probes, counted in targets that are named
    profiles: tuple[str, ...] = ()  #: additional profile files
    detail: Detail = Detail.DEFAULT
    inferred: Inferred = Inferred.AGREED
    max_probes: int = 256  #: maximum number of probed functions per target
    max_series: int = 4096  #: maximum number of (target, function) pairs in total
    interval: Duration = _INTERVAL  #: of min, max, avg, and between OTLP exports
    listen: Address | None = Address("127.0.0.1", 9310)  #: None: no HTTP endpoint
    #: file with TLS, passwords and tokens for the endpoint, in the format of Prometheus's exporters
    web_config: str | None = None
    allowed_hosts: tuple[
        str, ...
    ] = ()  #: host names, with wildcards, that requests may use in addition to this machine's
    page: Page = Page()
    otlp: Otlp = Otlp()
    histogram: Histogram = Histogram()
    slow: Slow = Slow()
    rtp: Rtp = Rtp()
    traces: bool = True
    overhead: Overhead = Overhead()
    end_strategy: EndChoice = EndChoice()
    unsafe_uretprobe: tuple[str, ...] = ()  #: globs of functions that get a uretprobe although it is not proven safe
    retain: Duration = _RETAIN  #: how long an ended target's last values stay
    link: LinkKind = LinkKind.AUTO
    attributes: dict[str, str] = field(default_factory=dict)  #: resource attributes of every target; a target's own win
    inherit_attributes: bool = False  #: whether targets also get those of OTEL_RESOURCE_ATTRIBUTES, the agent's
    host_name: str | None = None  #: `host.name` of targets and agent; the system's name unless given
    record_to: str | None = None  #: file that the stream of records is written to
    log: Log = Log()
    #: The command line's OTLP settings. They are separate from `otlp` because the standard variables, which set endpoint,
    #: protocol and headers per signal, come between the two (`otel_jb.config.environment.read`).
    otlp_command_line: Otlp = field(default=Otlp(), metadata={"hidden": True})

    def __post_init__(self) -> None:
        for key, low, high in (("max_probes", 1, 4096), ("max_series", 1, 65536)):
            if not low <= getattr(self, key) <= high:
                raise KeyValueError(key, f"expected {key} from {low} to {high}, got {getattr(self, key)}")
        if not 100_000_000 <= self.interval <= 3_600_000_000_000:
            raise KeyValueError("interval", f"expected an interval from 100ms to 1h, got {self.interval}")
        if self.retain > 86_400_000_000_000:
            raise KeyValueError("retain", f"expected at most 24h, got {self.retain}")


def _matches(patterns: tuple[str, ...], names: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns for name in names)


def _check_endpoint(endpoint: str) -> None:
    wanted = "expected a URL such as http://127.0.0.1:4317"
    if re.search(r"\s", endpoint) or not endpoint:
        raise KeyValueError("endpoint", f"{wanted}, got {endpoint[:60]!r}")
    url = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
    try:
        port_is_valid = url.port is None or url.port > 0
    except ValueError:
        port_is_valid = False
    if url.scheme not in ("http", "https") or not url.hostname or not port_is_valid:
        raise KeyValueError("endpoint", f"{wanted}, got {endpoint[:60]!r}")


def _plain(number: Decimal) -> str:
    """Without exponent and without trailing zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
