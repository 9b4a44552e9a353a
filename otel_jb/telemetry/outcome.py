# SPDX-License-Identifier: Apache-2.0
"""The result of an export. The SDK's exporters return only success or failure; the reasons go to their loggers.

`Outcome` listens to those loggers, so that the agent can count failures by kind and say once that exporting began to fail, and
why, instead of a line for every try. The loggers themselves are silenced towards the root: an exporter's warning that is
exported as a log would beget the next one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import Enum
from http import HTTPStatus

from otel_jb.model.dataclass import dataclass

_logger = logging.getLogger(__name__)

#: Loggers of the exporters and of what they are built on.
_SOURCES = ("opentelemetry.exporter.otlp", "opentelemetry.exporter.http", "opentelemetry.sdk", "urllib3")

_RETRYABLE = frozenset(
    {
        *(
            "CANCELLED",
            "DEADLINE_EXCEEDED",
            "RESOURCE_EXHAUSTED",
            "ABORTED",
            "OUT_OF_RANGE",
            "UNAVAILABLE",
            "DATA_LOSS",
        ),
        *("429", "502", "503", "504", "timeout", "connection", "other"),
    }
)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an export failed. `kind` is a bounded word for `error.type`: a gRPC status, an HTTP status, or a class of errors."""

    kind: str
    reason: str

    @property
    def retryable(self) -> bool:
        """Whether the same data may be accepted later (OTLP specification, "Failures")."""
        return self.kind in _RETRYABLE


class _Listener(logging.Handler):
    """Keeps the last message of each thread; exporters log on the thread that exports."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._last = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Remember the most informative message: a status, otherwise the text. A later "gave up" does not hide the cause."""
        # Not to be lost altogether: an observable's defect is reported on these loggers too.
        _logger.debug("%s: %s", record.name, record.getMessage())
        found = _read(record)
        if found is not None or getattr(self._last, "failure", None) is None:
            self._last.failure = found or Failure("other", record.getMessage()[:300])

    def note(self, failure: Failure) -> None:
        self._last.failure = failure

    def note_partial(self, rejected: int, reason: str) -> None:
        self._last.partial = (rejected, reason)

    def reset(self) -> None:
        self._last.failure = None
        self._last.partial = None

    def partial(self) -> tuple[int, str] | None:
        return getattr(self._last, "partial", None)

    def failure(self) -> Failure:
        return getattr(self._last, "failure", None) or Failure("timeout", "no answer in time")


def _read(record: logging.LogRecord) -> Failure | None:
    """The failure in a message's arguments: a gRPC status with its details, an HTTP status with its phrase, an exception."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    texts = [argument for argument in arguments if isinstance(argument, str)]
    for argument in arguments:
        if isinstance(argument, Enum):  # grpc.StatusCode
            return Failure(argument.name, f"{argument.name}: {texts[-1][:300]}" if texts else argument.name)
        if isinstance(argument, int) and not isinstance(argument, bool) and 300 <= argument < 600:
            return _http(argument)
        if isinstance(argument, BaseException):
            return Failure(_kind_of_exception(argument), _innermost(argument)[:300])
    # "Transient error Service Unavailable encountered": the status' phrase is all there is.
    status = next((_PHRASES[text] for text in texts if text in _PHRASES), None)
    return None if status is None else _http(status)


_PHRASES = {status.phrase: status.value for status in HTTPStatus if status >= 300}


def _http(status: int) -> Failure:
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "an unknown status"
    return Failure(kind_of_status(status), f"HTTP {status} {phrase}")


def kind_of_status(status: int) -> str:
    """The word for `error.type`; a receiver may answer with any three digits, and each would be a series."""
    return str(status) if status in set(HTTPStatus) else f"{status // 100}xx"


def _innermost(error: BaseException) -> str:
    """The text of the cause, which the layers above it wrap into their own."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return str(error) or type(error).__name__


def _kind_of_exception(error: BaseException) -> str:
    own = getattr(error, "kind", None)  # answers_http.AnswerError
    if isinstance(own, str):
        return own
    name = type(error).__name__.lower()
    if "timeout" in name or "timed out" in str(error).lower():
        return "timeout"
    return "connection" if "connection" in name or "protocol" in name else type(error).__name__


_listener = _Listener()
_installed = threading.Lock()


def _install() -> None:
    with _installed:
        for name in _SOURCES:
            logger = logging.getLogger(name)
            if _listener not in logger.handlers:
                logger.addHandler(_listener)
                logger.propagate = False
        # This one drops repeated messages, whose reasons are wanted each time.
        grpc = logging.getLogger("opentelemetry.exporter.otlp.proto.grpc.exporter")
        for each in list(grpc.filters):
            grpc.removeFilter(each)


def note_status(status: int) -> None:
    """An answer that came on this thread; one of success changes nothing."""
    if status >= 300:
        _listener.note(_http(status))


def note_partial(rejected: int, reason: str) -> None:
    """An answer that accepted the request but refused this many of its points or spans (0: a warning), on this thread."""
    _listener.note_partial(rejected, reason)


def note_error(error: BaseException) -> None:
    """An exception instead of an answer."""
    _listener.note(Failure(_kind_of_exception(error), _innermost(error)[:300]))


class Outcome:
    """Runs exports of one signal to one place, counts those that fail, and logs when failing begins and ends.

    Args:
        what: for the log: "metrics" or "spans".
        where: the endpoint, for the log.
        failed: called with each failure.
        rejected: called with how many points or spans a receiver refused of a request that it accepted.
    """

    def __init__(
        self,
        what: str,
        where: str,
        failed: Callable[[Failure], None],
        rejected: Callable[[int], None] = lambda _: None,
    ) -> None:
        _install()
        self._what = what
        self._where = where
        self._failed = failed
        self._rejected = rejected
        self._failing = 0
        self._partial = (False, "")  # whether something was refused, and why

    def of(self, export: Callable[[], bool]) -> Failure | None:
        """Call `export`; None if it returned True. An exception is a failure like any other."""
        _listener.reset()
        try:
            failure = None if export() else _listener.failure()
        except Exception as error:  # noqa: BLE001 (an exporter's defect must not end the thread that exports)
            failure = Failure(type(error).__name__, str(error)[:300])
        if failure is None:
            if self._failing:
                _logger.warning("%s reach %s again, after %d failed exports", self._what, self._where, self._failing)
            self._failing = 0
            self._tell_partial(_listener.partial())
            return None
        self._failed(failure)
        self._failing += 1
        if self._failing == 1:
            _logger.warning(
                "%s cannot be sent to %s: %s. %s",
                self._what,
                self._where,
                failure.reason,
                _remedy(failure),
            )
        return failure

    def _tell_partial(self, partial: tuple[int, str] | None) -> None:
        """Count what was refused; log it if it differs from last time."""
        count, reason = partial or (0, "")
        if count:
            self._rejected(count)
        told, self._partial = self._partial, (bool(count), reason)
        if self._partial == told:
            return
        if count:
            what = "data points" if self._what == "metrics" else self._what
            why = reason or "it gives no reason"
            _logger.warning("%s refused %d %s of an export and took the rest: %s", self._where, count, what, why)
        elif reason:
            _logger.warning("%s took the %s with a warning: %s", self._where, self._what, reason)


def _remedy(failure: Failure) -> str:
    if failure.kind in ("301", "302", "303", "307", "308"):
        return "The agent does not follow redirects, which could lead anywhere. Give the address that it leads to as the endpoint."
    if failure.kind == "not_otlp":
        return "Is it an OTLP receiver, and is its path right (/v1/metrics, /v1/traces)?"
    if failure.kind in ("UNAVAILABLE", "connection"):
        return "Is the Collector running, is the port right (4317 for gRPC, 4318 for HTTP), and is it http or https?"
    if failure.kind in ("401", "403", "UNAUTHENTICATED", "PERMISSION_DENIED"):
        return "Set its credentials in OTEL_EXPORTER_OTLP_HEADERS."
    if failure.kind in ("404", "UNIMPLEMENTED"):
        return "Is it an OTLP receiver, and does OTEL_EXPORTER_OTLP_PROTOCOL match it?"
    return "The agent keeps trying and logs when it succeeds."
