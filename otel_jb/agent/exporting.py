# SPDX-License-Identifier: Apache-2.0
"""The exporter process: HTTP, OTLP and the SDK over the stream of records, without privileges.

It holds no capability, opens nothing for writing, starts no program, and knows of the reader only what comes over its socket; what it has
to ask, it asks there (`exporter.py`). It ends when the socket does.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import logging
import os
import platform
import signal
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from otel_jb.agent import log
from otel_jb.agent.carried import Carried, files_of
from otel_jb.agent.confinement import limit_exporter
from otel_jb.agent.walked import Walks
from otel_jb.agent.wire import Wire
from otel_jb.config.model import HistogramKind
from otel_jb.host.memory import let_go_of_code, spare_the_collector, use_large_pages
from otel_jb.host.privileges import PR_SET_DUMPABLE, PR_SET_PDEATHSIG, give_up_everything, name_this_thread, prctl
from otel_jb.model.errors import AgentError, UsageError
from otel_jb.model.shortage import shortage_of
from otel_jb.probes.read.boundaries import EXPONENTIAL_SCALE
from otel_jb.telemetry.endpoint import Endpoint, SharedRefresh, standard_pages
from otel_jb.telemetry.kept_calls import KeptCalls
from otel_jb.telemetry.state import StreamState
from otel_jb.telemetry.tally import Tally
from otel_jb.views.page import site
from otel_jb.views.page.feed import Feed

if TYPE_CHECKING:
    from otel_jb.config.environment import OtelSettings
    from otel_jb.config.model import Config
    from otel_jb.config.web import WebConfig
    from otel_jb.telemetry.access import Access
    from otel_jb.telemetry.pipeline import Telemetry
    from otel_jb.views.page.tables import Tables

_READ_S = 10.0  #: for the reader to read the kernel
_READY_S = 2.0  #: for the reader to say whether it is ready
_STOP_OLD_S = 4.0  #: for exporters that a new configuration replaces

_logger = logging.getLogger(__name__)


def export(wire: Wire, config: Config, settings: OtelSettings) -> NoReturn:
    """What the forked child does, until the socket ends."""
    status = 1
    try:
        name_this_thread("jb-exporter")
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # A terminal and a service manager send them to all; the reader says when.
            signal.signal(number, signal.SIG_IGN)
        _let_go_of_everything_but(wire.fileno())
        _Exporting(wire, config, settings).serve()
        status = 0
    except AgentError as error:
        _refuse(wire, error)
    except Exception as error:
        shortage = shortage_of(error)
        if shortage is not None:
            _refuse(wire, shortage)
        else:
            _logger.exception("the exporter")
    finally:
        logging.shutdown()
        os._exit(status)


def access(config: Config) -> Access | None:
    """Who may read the endpoint, as `web_config` says; None: everybody. Raises ConfigError."""
    if config.web_config is None:
        return None
    from otel_jb.config.web import read

    return _access(read(Path(config.web_config)))


def _access(web: WebConfig) -> Access:
    from otel_jb.telemetry.access import Access

    return Access(web)


def _let_go_of_everything_but(keep: int) -> None:
    """The reader's descriptors: sandbox, loader, a recording. The log's stay."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.closerange(3, keep)
    os.closerange(keep + 1, 1 << 16)


def _refuse(wire: Wire, error: AgentError) -> None:
    with contextlib.suppress(OSError):
        wire.send({"error": [type(error).__name__, error.message, error.help]})


class _Exporting:
    def __init__(self, wire: Wire, config: Config, settings: OtelSettings) -> None:
        self._wire = wire
        self._config = config
        self._settings = settings
        self._numbers = itertools.count()
        self._asked: dict[int, Future[Any]] = {}
        self._state = StreamState(config.retain / 1e9, says=False)  # the reader's says it
        self._walks = Walks()
        self._tally = Tally()
        self._telemetry: Telemetry | None = None
        self._endpoint: Endpoint | None = None
        self._overhead: Mapping[int, float] = {}
        self._uncounted = 0
        self._targets: Mapping[tuple[str, str], int] = {}
        self._unmeasured: Sequence[tuple[int, str, str, str]] = ()
        self._feed: Feed | None = None
        shows = config.listen is not None and (settings.sends_traces or config.page.slow_calls)
        self._kept = KeptCalls() if shows else None
        # While it may: a port below 1024 bound, and key files read that are root's.
        if config.listen is not None:
            refresh = SharedRefresh(lambda: self._read("scrape"))
            self._feed = Feed(SharedRefresh(lambda: self._read("page")), self._page_content)
            pages = {
                **standard_pages(self._render, refresh, self._readiness),
                **site.pages(self._feed.subscribe),
            }
            host, port = config.listen.host, config.listen.port
            self._endpoint = Endpoint(host, port, pages, access(config), config.allowed_hosts)
        self._carried = Carried(files_of(settings, None))
        wire.send({"url": self._endpoint.url if self._endpoint is not None else ""})

    def serve(self) -> None:
        """Take what comes."""
        takes: dict[str, Callable[..., None]] = {
            "record": self._state.apply,
            "slow": self._take_slow_calls,
            "answer": self._take_answer,
            "count": lambda instrument, count, attributes: self._tally.add(instrument, count, **attributes),
            "start": self._start,
            "use": self._in_a_thread(self._use),
            "stop": self._in_a_thread(self._stop),
        }
        while (message := self._wire.receive()) is not None:
            takes[message[0]](*message[1:])

    @staticmethod
    def _in_a_thread(work: Callable[..., None]) -> Callable[..., None]:
        return lambda *values: threading.Thread(target=work, args=values, name="exporter", daemon=True).start()

    def _start(self) -> None:
        """Import what is heavy, which only root may be able to read, give everything up, and begin."""
        _import(self._config, self._settings)
        let_go_of_code()  # before there are threads
        give_up_everything()
        prctl(PR_SET_DUMPABLE, 1)  # else /proc/self/fd, where the keys are, would be root's
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user takes that back, so it comes after
        limit_exporter()
        self._telemetry = self._begin(self._config, self._settings, self._carried)
        spare_the_collector()
        self._wire.send({"started": self._telemetry.page is not None})
        if self._endpoint is not None:
            self._endpoint.start()
        threading.Thread(target=use_large_pages, name="large-pages", daemon=True).start()

    def _begin(self, config: Config, settings: OtelSettings, carried: Carried) -> Telemetry:
        """Raises AgentError."""
        from otel_jb.telemetry.histogram import HistogramShape
        from otel_jb.telemetry.pipeline import Telemetry

        exponential = config.histogram.kind is HistogramKind.EXPONENTIAL
        telemetry = Telemetry(
            self._state,
            carried.settings(settings),
            HistogramShape(
                tuple(int(bound) for bound in config.histogram.boundaries), EXPONENTIAL_SCALE if exponential else None
            ),
            config.interval / 1e9,
            overhead=lambda: self._overhead,
            uncounted=lambda: self._uncounted,
            targets=lambda: self._targets,
            refresh=lambda: self._read("export"),
            symbolise=self._walks.symbolise,
            same_stack=self._walks.same_stack,
            around=self._walks.around,
            tally=self._tally,
            host=config.host_name,
            reader=os.getppid(),
            gather_seconds=0.0,  # they come in batches
            kept=self._kept,
        )
        try:
            telemetry.start()
        except AgentError as error:
            raise carried.own_names(error) from None
        return telemetry

    def _use(self, config: Config, settings: OtelSettings, web: WebConfig | None, files: dict[str, bytes]) -> None:
        """Export as these say; nothing is exchanged that stays as it is."""
        carried = Carried(files)
        try:
            try:
                who = _access(carried.web(web)) if web is not None else None
            except AgentError as error:
                raise carried.own_names(error) from None
            now = (settings, config.host_name, carried.contents(settings))
            if now != (self._settings, self._config.host_name, self._carried.contents(settings)):
                self._exchange(config, settings, carried)
            else:
                carried.close()  # the endpoint has read its own
        except AgentError as error:
            carried.close()
            _refuse(self._wire, error)
            return
        except Exception as error:
            _logger.exception("the configuration cannot be taken over")
            carried.close()
            _refuse(self._wire, AgentError(f"it needs a restart: {error}"))
            return
        if self._endpoint is not None:
            self._endpoint.use(who, config.allowed_hosts)
        log.configure(config.log.level.value, config.log.format.value)
        self._config = config
        self._wire.send({"used": True})

    def _exchange(self, config: Config, settings: OtelSettings, carried: Carried) -> None:
        """Other exporters take over, then the old ones end. Raises AgentError, and nothing has changed."""
        new = self._begin(config, settings, carried)
        old, old_files = self._telemetry, self._carried
        self._telemetry, self._carried, self._settings = new, carried, settings
        if old is not None:
            old.shutdown(_STOP_OLD_S)
        old_files.close()

    def _stop(self, budget_seconds: float) -> None:
        telemetry, self._telemetry = self._telemetry, None
        if telemetry is not None:
            telemetry.shutdown(budget_seconds)
        if self._feed is not None:
            self._feed.close()
        if self._endpoint is not None:
            self._endpoint.close()
        logging.shutdown()
        os._exit(0)

    # -- what comes --------------------------------------------------------------------------------------------

    def _take_slow_calls(
        self, data: bytes, lines: Mapping[int, tuple[str, ...]], compared: Sequence[tuple[int, int]]
    ) -> None:
        calls = self._walks.take(data, lines)
        self._state.take_slow_calls(calls)
        if self._telemetry is not None:
            self._telemetry.clock.learn(compared)
            self._telemetry.slow_call(*calls)

    def _take_answer(self, number: int, answer: object) -> None:
        waiting = self._asked.pop(number, None)
        if waiting is not None:
            waiting.set_result(answer)

    def _render(self, accept: str, accept_encoding: str, version: object) -> tuple[Iterable[bytes], dict[str, str]]:
        page = self._telemetry.page if self._telemetry is not None else None
        if page is None:
            raise UsageError("metrics are not exposed: OTEL_METRICS_EXPORTER or OTEL_SDK_DISABLED says so")
        return page.stream(accept, accept_encoding, version)

    def _page_content(self) -> Callable[[], Tables]:
        """What the page shows, from now on: nothing is kept of it while nobody looks."""
        from otel_jb.views.page.tables import Content, Facts

        facts = Facts(
            lambda: self._overhead,
            lambda: self._targets,
            lambda: self._unmeasured,
            lambda: self._uncounted,
            self._kept.latest if self._kept else tuple,
        )
        head = {
            "host": self._config.host_name or platform.node(),
            "trace_url": self._config.page.trace_url,
            "keeps_slow_calls": self._kept is not None,
        }
        return Content(self._state, facts, head).tables

    # -- what only the reader knows ----------------------------------------------------------------------------

    def _ask(self, question: str, seconds: float) -> Any:
        """Raises LateError."""
        number = next(self._numbers)
        waiting: Future[Any] = Future()
        self._asked[number] = waiting
        self._wire.send({"ask": question, "number": number})
        try:
            return waiting.result(seconds)
        finally:
            self._asked.pop(number, None)

    def _read(self, why: str) -> None:
        """Have the kernel read; its snapshot has come before the answer, on the same socket."""
        try:
            problem, self._overhead, self._uncounted, self._targets, self._unmeasured = self._ask(why, _READ_S)
        except LateError:
            problem = f"the measuring process has not answered for {_READ_S:g} s"
        if problem:
            raise AgentError(problem)

    def _readiness(self) -> tuple[bool, str]:
        try:
            ready, reason = self._ask("readiness", _READY_S)
        except LateError:
            return False, f"the measuring process has not answered for {_READY_S:g} s"
        return ready, reason


def _import(config: Config, settings: OtelSettings) -> None:
    """Everything that may be needed later: others than root may not be able to read where it is installed."""
    names = ["encodings.idna", "traceback", "otel_jb.telemetry.histogram", "otel_jb.telemetry.pipeline"]
    if config.listen is not None:
        names += ["otel_jb.telemetry.connections", "otel_jb.views.page.tables"]
    if config.web_config is not None:
        names.append("bcrypt")
    if not settings.disabled:
        names.append("otel_jb.telemetry.selfmetrics")
        if settings.serves_prometheus:
            names.append("otel_jb.telemetry.prometheus")
        if settings.sends_metrics or "console" in settings.metrics_exporters:
            names += ["opentelemetry.sdk.metrics.export", "opentelemetry.sdk.resources"]
        if settings.sends_traces or config.page.slow_calls:
            names += ["otel_jb.telemetry.spans", "otel_jb.telemetry.span_queue", "otel_jb.telemetry.exporters"]
            names.append("otel_jb.telemetry.outcome")
        if settings.sends_metrics or settings.sends_traces:
            names += ["otel_jb.telemetry.otlp", "otel_jb.telemetry.exporters", "otel_jb.telemetry.outcome"]
            names.append("otel_jb.telemetry.span_encoding")
            for sent, signal_settings, kind in (
                (settings.sends_metrics, settings.metrics, "metric_exporter"),
                (settings.sends_traces, settings.traces, "trace_exporter"),
            ):
                if sent:
                    way = "grpc" if signal_settings.protocol.value == "grpc" else "http"
                    names.append(f"opentelemetry.exporter.otlp.proto.{way}.{kind}")
                    names.append(f"otel_jb.telemetry.answers_{way}")
    for name in names:
        importlib.import_module(name)
