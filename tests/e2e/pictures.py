# SPDX-License-Identifier: Apache-2.0
"""The pictures of the documentation: `scripts/make-pictures` runs this. Those of the page and of `top` are made in `pictures_live`.

Each of the others is drawn from what the programs of a real run answered: the demo's own output, Prometheus's API, Jaeger's API. (Jaeger, as built from
its Go module, has no user interface to take a picture of.)
"""

from __future__ import annotations

import html
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e import pictures_live
from tests.e2e.agent_process import COMMAND, ROOT, Conversation, agent, free_tcp_port, until
from tests.e2e.collector import Jaeger, Prometheus, collector, get_json, jaeger, prometheus, scrape_configuration
from tests.e2e.test_traces import DECODE, PUT, UNGOVERNED, build, root_of, spans_of

WIDTH = 1000
STYLE = """
body { margin: 0; background: #fff; color: #222; font: 15px 'DejaVu Sans', sans-serif; }
pre { margin: 0; font: 14px/1.35 'DejaVu Sans Mono', monospace; }
.terminal { background: #1d1f21; color: #d4d6d4; padding: 18px 22px; }
.terminal b { color: #8fd19e; font-weight: normal; }
h1 { font-size: 16px; margin: 14px 20px 2px; } p { color: #666; font-size: 13px; margin: 0 20px 8px; }
table { border-collapse: collapse; margin: 6px 20px; font-size: 13px; } td { padding: 1px 14px 1px 0; vertical-align: top; }
td:first-child { color: #666; }
"""


def picture(body: str, height: int, to: Path) -> None:
    """Take a picture of a page."""
    with tempfile.TemporaryDirectory() as place:
        page = Path(place) / "page.html"
        page.write_text(f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{body}")
        argv = [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={place}",
        ]
        argv += [f"--window-size={WIDTH},{height}", f"--screenshot={to}", page.as_uri()]
        subprocess.run(argv, check=True, capture_output=True, timeout=120)
    assert to.stat().st_size < 300_000, to


def demo(to: Path) -> None:
    """The demo's last table, and its account."""
    argv = [str(COMMAND), "demo", "--seconds", "14", "--port", str(free_tcp_port())]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True)
    lines = done.stdout.splitlines()
    last = max(place for place, line in enumerate(lines) if line.startswith("PROCESS") or "FUNCTION" in line.upper())
    shown = ["$ scripts/otel-jb demo", *lines[:1], "", *lines[last:]]
    text = "\n".join(
        f"<b>{html.escape(line)}</b>" if line.startswith(("$", "relay")) else html.escape(line) for line in shown
    )
    picture(f"<div class=terminal><pre>{text}</pre></div>", 38 + 19 * len(shown), to)


@contextmanager
def incident(directory: Path) -> Iterator[tuple[Prometheus, Jaeger, float, float]]:
    """A server whose calls are quick, then for some seconds slow now and then, seen through the whole way."""
    program = build(directory, "threads")
    with jaeger(directory) as traces, collector(directory, traces) as otel, Conversation(program) as server:
        options = (*UNGOVERNED, "--interval", "1s", "--otlp-endpoint", f"http://{otel.grpc}", "--pid", str(server.pid))
        rules = ROOT / "deploy" / "prometheus" / "prometheus-collector.yml"
        with (
            agent(directory, *options),
            prometheus(directory, scrape_configuration({"otel_jb": otel.scrape}, rules), "scraped") as metrics,
        ):
            begin = time.time()
            for second in range(60):
                server.ask("run 2 600 12 20000" if 28 <= second < 38 else "run 2 600 0 20000")
                time.sleep(max(0.0, begin + second + 1 - time.time()))
            until(lambda: metrics.exemplars(BUCKETS, begin, time.time()), "exemplars", timeout=20)
            yield metrics, traces, begin, time.time()


BUCKETS = f'jitterbuffer_delay_seconds_bucket{{function="{PUT}"}}'
P99 = f"histogram_quantile(0.99, sum by (le) (rate({BUCKETS}[5s])))"
LEFT, RIGHT, TOP, HEIGHT = 70, 20, 20, 300


def spike(metrics: Prometheus, begin: float, end: float, chosen: dict[str, Any], to: Path) -> None:
    """p99 as a line, exemplars as diamonds, the chosen one with what it names."""
    answer = get_json(f"{metrics.url}/api/v1/query_range", query=P99, start=begin + 4, end=end, step=1)["data"][
        "result"
    ]
    points = [(float(at), float(value)) for at, value in answer[0]["values"] if value != "NaN"]
    found = metrics.exemplars(P99, begin, end)
    low, high = -5.3, -1.0  # powers of ten of a second

    def x(at: float) -> float:
        return LEFT + (at - begin) / (end - begin) * (WIDTH - LEFT - RIGHT)

    def y(seconds: float) -> float:
        return TOP + (high - math.log10(seconds)) / (high - low) * HEIGHT

    parts = []
    for power, label in ((-5, "10 µs"), (-4, "100 µs"), (-3, "1 ms"), (-2, "10 ms"), (-1, "100 ms")):
        at = y(10.0**power)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4}" text-anchor="end" font-size="12" fill="#666">{label}</text>')
    for second in range(0, int(end - begin) + 1, 10):
        at = x(begin + second)
        parts.append(
            f'<text x="{at}" y="{TOP + HEIGHT + 18}" text-anchor="middle" font-size="12" fill="#666">{second} s</text>'
        )
    line = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#2f6fb3" stroke-width="2"/>')
    for one in found:
        cx, cy = x(float(one["timestamp"])), y(float(one["value"]))
        parts.append(f'<path d="M{cx} {cy - 6}l6 6l-6 6l-6 -6z" fill="#d9822b" stroke="#fff"/>')
    cx, cy = x(float(chosen["timestamp"])), y(float(chosen["value"]))
    label = f"trace_id={chosen['labels']['trace_id']}  {1e3 * float(chosen['value']):.2f} ms"
    parts.append(f'<line x1="{cx}" y1="{cy + 10}" x2="{cx}" y2="{TOP + HEIGHT - 40}" stroke="#d9822b"/>')
    parts.append(
        f'<text x="{cx}" y="{TOP + HEIGHT - 24}" text-anchor="middle" font-size="13" fill="#a85a10">{label}</text>'
    )
    svg = f'<svg width="{WIDTH}" height="{TOP + HEIGHT + 30}">{"".join(parts)}</svg>'
    head = f"<h1>p99 of {PUT}, with exemplars</h1><p><code>{html.escape(P99)}</code></p>"
    picture(head + svg, TOP + HEIGHT + 100, to)


def because_of_decode(
    metrics: Prometheus, traces: Jaeger, begin: float, end: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """An exemplar of put, and its trace, which shows that most of the time went into the decode inside."""
    for one in sorted(metrics.exemplars(BUCKETS, begin, end), key=lambda each: float(each["value"])):
        trace = traces.trace(one["labels"]["trace_id"])
        assert trace is not None, one
        if any(span.name == DECODE and span.duration_us > 10_000 for span in spans_of(trace)):
            return one, trace
    raise AssertionError("no exemplar of a put that a decode made slow")


def waterfall(trace: dict[str, Any], to: Path) -> None:
    """A trace as bars, with what its root's span says."""
    spans, root = spans_of(trace), root_of(trace)
    parts = []
    for row, span in enumerate(sorted(spans, key=lambda one: one.start_us)):
        left = 330 + (span.start_us - root.start_us) / root.duration_us * 520
        width = max(2.0, span.duration_us / root.duration_us * 520)
        at = 8 + 30 * row
        indent = 0 if span.parent is None else 18
        parts.append(f'<text x="{20 + indent}" y="{at + 15}" font-size="14">{html.escape(span.name)}</text>')
        parts.append(
            f'<rect x="{left}" y="{at}" width="{width}" height="20" rx="3" fill="{"#2f6fb3" if indent == 0 else "#d9822b"}"/>'
        )
        parts.append(f'<text x="870" y="{at + 15}" font-size="13" fill="#444">{span.duration_us / 1000:.2f} ms</text>')
    svg = f'<svg width="{WIDTH}" height="{16 + 30 * len(spans)}">{"".join(parts)}</svg>'
    slowest = max((one for one in spans if one.parent is not None), key=lambda one: one.duration_us, default=root)
    rows = []
    for span in (root, slowest):
        names = ("thread.id", "thread.name", "jitterbuffer.role", "jitterbuffer.return_value", "code.stacktrace")
        rows.append(f"<h1>{html.escape(span.name)}</h1><table>")
        rows += [
            f"<tr><td>{name}<td><pre>{html.escape(str(span.tags[name]))}</pre>" for name in names if name in span.tags
        ]
        rows.append("</table>")
    lines = sum(str(span.tags.get("code.stacktrace", "")).count("\n") + 5 for span in (root, slowest))
    head = f"<h1>Trace {trace['traceID']}</h1><p>as Jaeger's API returns it</p>"
    picture(head + svg + "".join(rows), 190 + 30 * len(spans) + 20 * lines, to)


def main() -> None:
    to = Path(sys.argv[1]).resolve()
    to.mkdir(parents=True, exist_ok=True)
    demo(to / "demo.png")
    pictures_live.main(to)
    with tempfile.TemporaryDirectory() as place, incident(Path(place)) as (metrics, traces, begin, end):
        chosen, trace = because_of_decode(metrics, traces, begin, end)
        spike(metrics, begin, end, chosen, to / "spike.png")
        waterfall(trace, to / "trace.png")
    print(json.dumps({path.name: path.stat().st_size for path in sorted(to.glob("*.png"))}))


if __name__ == "__main__":
    main()
