# SPDX-License-Identifier: Apache-2.0
"""Every shipped file of deploy/, docker-compose.yml and Dockerfile, checked by its own program."""

from __future__ import annotations

import json
import math
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_jb.model.instruments import Kind
from otel_jb.model.stream import ProbeState, ProbeStatus
from otel_jb.probes import features
from otel_jb.telemetry.instruments import (
    EXPORT_FAILURES,
    INSTRUMENTS,
    NESTING_DOUBTFUL,
    SELF_INSTRUMENTS,
    SPANS_DROPPED,
)
from tests.e2e.agent_process import ROOT, until
from tests.e2e.collector import Prometheus, collector, program, prometheus, scrape_configuration
from tests.e2e.synthetic import MILLISECOND, World, world

PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))


def run(*argv: str | Path, **options: Any) -> str:
    """Standard output; fails with what was said when the status is not 0."""
    done = subprocess.run(list(argv), capture_output=True, text=True, timeout=120, check=False, **options)
    assert done.returncode == 0, f"{argv}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return str(done.stdout)


def targets(dashboard: Path) -> list[tuple[str, dict[str, Any]]]:
    """Each query of a dashboard with its panel's title."""
    panels = json.loads(dashboard.read_text())["panels"]
    return [(panel["title"], target) for panel in panels for target in panel.get("targets", ())]


QUERIES = [
    pytest.param(dashboard, target["expr"], id=f"{dashboard.stem}: {title} {target['refId']}")
    for dashboard in DASHBOARDS
    for title, target in targets(dashboard)
]


def known_names() -> set[str]:
    names = {"up"}
    for one in (*INSTRUMENTS, *SELF_INSTRUMENTS):
        parts = ("_bucket", "_sum", "_count", "") if one.kind is Kind.HISTOGRAM else ("",)
        names |= {one.prometheus + part for part in parts}
    for file in RULES:
        groups = yaml.safe_load(file.read_text())["groups"]
        names |= {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}
    return names


def test_promtool_accepts_configurations_and_rules() -> None:
    """promtool accepts both configurations with the rules that they name, and its unit tests of the rules pass."""
    promtool = program("promtool")
    for name in ("prometheus.yml", "prometheus-collector.yml"):
        assert "2 rule files found" in run(promtool, "check", "config", PROMETHEUS / name)
    tests = sorted((PROMETHEUS / "tests").glob("*.yml"))
    assert tests
    run(promtool, "test", "rules", *tests)


def test_every_rule_is_tested() -> None:
    """Each alert and each recording rule appears in the tests that promtool runs."""
    tested = "".join(file.read_text() for file in (PROMETHEUS / "tests").glob("*.yml"))
    for file in RULES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            for rule in group["rules"]:
                name = rule.get("alert") or rule["record"]
                assert name in tested, f"{file.name}: {name}"


def test_queries_use_only_names_of_the_contract() -> None:
    """Dashboards and rules name only metrics that the agent exports or a rule records."""
    known = known_names()
    expressions = [(str(parameters.values[0]), str(parameters.values[1])) for parameters in QUERIES]
    for file in RULES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            expressions += [(file.name, rule["expr"]) for rule in group["rules"]]
    assert len(expressions) > 40
    for source, expression in expressions:
        bare = re.sub(r'"[^"]*"', '""', expression)
        used = set(
            re.findall(r"\b(?:(?:function|measure):)?(?:jitterbuffer|otel_jb|rtp|process|webrtc)_\w+(?::\w+)*", bare)
        )
        used.discard("jitterbuffer_role")
        assert used <= known, f"{source}: {used - known} in {expression}"
        assert used or "up{" in bare, f"{source}: {expression}"


def test_the_guides_job_and_panels_are_there() -> None:
    """prometheus.yml has the guide's job with its values, and the first dashboard the guide's three panels."""
    (job,) = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    assert (job["job_name"], job["metrics_path"]) == ("ffmpeg-jitterbuffer", "/metrics")
    assert (job["scrape_interval"], job["scrape_timeout"]) == ("10s", "5s")
    assert job["static_configs"] == [{"targets": ["localhost:9310"]}]
    panels = {title: target["expr"] for title, target in targets(ROOT / "deploy/grafana/dashboards/jitterbuffer.json")}
    assert re.fullmatch(r"rate\(jitterbuffer_packet_count_total\{.*\}\[5m\]\)", panels["Packet Count"])
    assert panels["Average Delay"].startswith("jitterbuffer_delay_avg_seconds{")
    assert re.fullmatch(r"rate\(jitterbuffer_dropped_packets_total\{.*\}\[5m\]\)", panels["Dropped Packets"])


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Prometheus]]:
    """Two Prometheus servers with half a minute of traffic: one scrapes the agent, one the Collector."""
    directory = tmp_path_factory.mktemp("dashboards")
    with collector(directory) as otel, world(otel.grpc, streams=True) as made:
        direct = scrape_configuration({"ffmpeg-jitterbuffer": made.metrics_address}, PROMETHEUS / "prometheus.yml")
        through = scrape_configuration({"otel_jb": otel.scrape}, PROMETHEUS / "prometheus-collector.yml")
        trouble(made)
        with prometheus(directory, direct, "direct") as one, prometheus(directory, through, "through") as other:
            both = {"agent": one, "Collector": other}

            def enough() -> bool:
                for function in made.functions:
                    made.call(function, *[3_000] * 40, 2 * MILLISECOND, 20 * MILLISECOND)
                made.packets_held = (made.packets_held + 3) % 12
                made.telemetry.tally.add(SPANS_DROPPED, error__type="queue_full")
                made.telemetry.tally.add(EXPORT_FAILURES, signal="traces", error__type="unavailable")
                made.telemetry.tally.add(NESTING_DOUBTFUL, function="SrsRtpJitterBuffer::put")
                made.step()
                wanted = 'count_over_time(otel_jb_export_failures_total{signal="traces"}[1m]) > 6'
                return all(server.query(wanted) for server in both.values())

            until(enough, "seven scrapes by each way", timeout=60, every=0.5)
            yield both


def trouble(made: World) -> None:
    """What an agent has to say when not all is well."""
    for state, reason in ((ProbeState.SKIPPED, "inlined"), (ProbeState.SHED, "budget"), (ProbeState.FAILED, "EPERM")):
        made.state.apply(ProbeStatus(made.srs.id, f"Srs{reason}::put", "srs", "srs", state, reason, "ret-sites"))


@pytest.mark.parametrize(("dashboard", "expression"), QUERIES)
def test_dashboard_query_returns_data(servers: dict[str, Prometheus], dashboard: Path, expression: str) -> None:
    """The query returns numbers from a Prometheus that scrapes the agent, and from one that scrapes the Collector."""
    values = {
        "$host": ".*",
        "$job": ".*",
        "$pid": ".*",
        "$role": "put",
        "$__rate_interval": "5m",  # the world stands still by now: what it did must not fall out of the window
        "$__interval": "15s",
    }
    if "buffer_size" in expression:
        values["$role"] = "parse"  # the sample's only function that reads a depth
    for name, value in values.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    for name, server in servers.items():
        found = server.query(expression)
        assert found, f"no data through the {name}: {expression}"
        assert not [value for _, value in found if math.isnan(value)], f"NaN through the {name}: {expression}"


def test_restarts_are_annotations_that_prometheus_understands(servers: dict[str, Prometheus]) -> None:
    """The dashboards' annotation is of processes that were not there a while ago: here of both, and of an hour, since tests may take minutes."""
    (annotation,) = json.loads((ROOT / "deploy/grafana/dashboards/jitterbuffer.json").read_text())["annotations"][
        "list"
    ]
    assert "offset 1m" in annotation["expr"]
    expression = re.sub(r"\$\w+", ".*", annotation["expr"]).replace("offset 1m", "offset 1h")
    for name, server in servers.items():
        started = {labels["job"] for labels, _ in server.query(expression)}
        assert started == {"ffmpeg", "live"}, name


def test_dashboard_panels_do_not_overlap() -> None:
    """Each panel has a place of its own, an id of its own, a description, and a unit where it shows a share or a time."""
    for file in DASHBOARDS:
        panels = json.loads(file.read_text())["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels), file.name
        taken: dict[tuple[int, int], str] = {}
        for panel in panels:
            place = panel["gridPos"]
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    assert (x, y) not in taken, f"{file.name}: {panel['title']} lies on {taken[x, y]}"
                    taken[x, y] = panel["title"]
            assert x < 24, f"{file.name}: {panel['title']}"
            assert panel["type"] == "row" or panel["description"], f"{file.name}: {panel['title']}"


def test_dashboard_variables_find_values(servers: dict[str, Prometheus]) -> None:
    """The labels that the dashboards' variables list exist, and the default role is one of them."""
    for server in servers.values():
        roles = {labels["jitterbuffer_role"] for labels, _ in server.query("jitterbuffer_calls_total")}
        assert {"put", "get", "parse", "decode"} <= roles
        services = {labels["job"] for labels, _ in server.query("jitterbuffer_calls_total")}
        assert services == {"ffmpeg", "live"}


def test_grafana_links_exemplars_to_traces() -> None:
    """The Prometheus data source sends an exemplar's trace_id to data sources that are provisioned, and dashboards are mounted."""
    directory = ROOT / "deploy/grafana/provisioning"
    sources = yaml.safe_load((directory / "datasources/datasources.yaml").read_text())["datasources"]
    uids = {one["uid"]: one["type"] for one in sources}
    (metrics,) = [one for one in sources if one["type"] == "prometheus"]
    goes_to = {one["datasourceUid"] for one in metrics["jsonData"]["exemplarTraceIdDestinations"]}
    assert {uids[uid] for uid in goes_to} == {"tempo", "jaeger"}
    (provider,) = yaml.safe_load((directory / "dashboards/dashboards.yaml").read_text())["providers"]
    mounts = compose()["services"]["grafana"]["volumes"]
    assert any(mount.split(":")[1] == provider["options"]["path"] for mount in mounts)
    for dashboard in DASHBOARDS:
        for _, target in targets(dashboard):
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def compose() -> dict[str, Any]:
    """docker-compose.yml as docker-compose resolves it, demo profile included."""
    resolved = run(program("docker-compose"), "--profile", "demo", "config", cwd=ROOT)
    return dict(yaml.safe_load(resolved))


def test_compose_names_each_privilege() -> None:
    """docker-compose accepts the file; the agent has the documented capabilities one by one, and nobody is privileged."""
    services = compose()["services"]
    assert set(services) == {"agent", "collector", "prometheus", "tempo", "jaeger", "grafana", "traffic"}
    wanted = {name.removeprefix("CAP_") for name in features.CAPABILITIES}
    assert set(services["agent"]["cap_add"]) == wanted
    assert services["agent"]["cap_drop"] == ["ALL"]
    assert services["agent"]["pid"] == "host"
    for name, service in services.items():
        assert not service.get("privileged"), name
        assert name == "agent" or not service.get("cap_add"), name
        for port in service.get("ports", ()):
            assert str(port).startswith("127.0.0.1:"), f"{name} publishes {port}"
        image = service["image"]
        assert re.search(r":(v?\d+\.\d+\.\d+|local)$", image), image
    source = (ROOT / "docker-compose.yml").read_text()
    for name in wanted:
        assert re.search(rf"- {name} # \w+", source), f"{name} has no reason beside it"
    assert f"# - {features.OLD_KERNELS.removeprefix('CAP_')}\n" in source
    flags = services["prometheus"]["command"]
    assert {"--web.enable-remote-write-receiver", "--enable-feature=exemplar-storage"} <= set(flags)


def test_compose_mounts_files_that_exist() -> None:
    """What is mounted from the checkout exists, and the Collector gets only variables that its configuration reads."""
    services = compose()["services"]
    for service in services.values():
        for mount in service.get("volumes", ()):
            source = Path(mount.split(":")[0])
            if source.is_relative_to(ROOT):
                assert source.exists(), source
    read = set(re.findall(r"\$\{env:(\w+)", (ROOT / "collector-config.yaml").read_text()))
    assert set(services["collector"]["environment"]) <= read


def test_dockerfile_copies_what_exists_and_installs_what_the_bootstrap_does() -> None:
    """Each COPY source exists and is let through by .dockerignore; apt gets the packages that scripts/otel-jb installs, and certificates."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    stages = [line.split()[-1] for line in lines if line.startswith("FROM ")]
    assert stages == ["build", "build-traffic", "traffic", "agent"]
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in lines:
        assert line.split()[0] in {
            "ARG",
            "FROM",
            "RUN",
            "WORKDIR",
            "COPY",
            "USER",
            "ENTRYPOINT",
            "ENV",
            "EXPOSE",
            "HEALTHCHECK",
            "CMD",
        } or (line.startswith(" ")), line
        if line.startswith("COPY ") and "--from=" not in line:
            for source in shlex.split(line)[1:-1]:
                assert (ROOT / source).exists(), source
                assert source.removeprefix("./") in allowed, f"{source} is kept out by .dockerignore"
        if line.startswith("COPY --from="):
            assert line.split("--from=")[1].split()[0] in stages
        if line.startswith("RUN "):
            run("sh", "-n", "-c", line.removeprefix("RUN "))
    bootstrap = re.findall(
        r"^ *(?:later=|apt_install )(python3[ -].*)", (ROOT / "scripts/bootstrap.sh").read_text(), re.MULTILINE
    )
    final = text.split("AS agent")[1]
    (installed,) = re.findall(r"--no-install-recommends install ([\w .+-]+)", final)
    # The environment is copied, not made. A machine has certificates for OTLP over TLS, or its owner adds them; an image has what it is given.
    assert set(installed.split()) == set(" ".join(bootstrap).split()) | {"ca-certificates"}
    for service in ("agent", "traffic"):
        assert compose()["services"][service]["build"]["target"] in stages


def test_traffic_of_the_demo_flows() -> None:
    """The command of the demo's traffic container sends packets through its relay until it is stopped."""
    child = subprocess.Popen([sys.executable, "-m", "otel_jb.demo"], stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert child.stdout is not None
    try:
        line = child.stdout.readline()
        counts = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", line)}
        assert counts["received_packets"] > 300
        assert counts["dropped_packets"] > 0
        assert counts["duplicated_packets"] > 0
    finally:
        child.terminate()
        assert child.wait(10) == 0


@pytest.mark.parametrize("kernel", ["6.6", "before"])
def test_systemd_accepts_the_unit(kernel: str, tmp_path: Path) -> None:
    """systemd-analyze finds no fault with the unit and rates its exposure 2.5 or lower; its capabilities are the documented ones."""
    text = (ROOT / "deploy/systemd/otel-jb.service").read_text()
    old = (ROOT / "deploy/systemd/before-linux-6.6.conf").read_text() if kernel == "before" else ""
    for name in ("CapabilityBoundingSet", "AmbientCapabilities"):
        given = " ".join(re.findall(rf"^{name}=(.*)$", text + old, re.MULTILINE)).split()
        assert given == [*features.CAPABILITIES, *([features.OLD_KERNELS] if old else [])]
    unit = tmp_path / "otel-jb.service"
    unit.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", text, flags=re.MULTILINE))
    if old:
        drop_in = tmp_path / "otel-jb.service.d/before-linux-6.6.conf"
        drop_in.parent.mkdir()
        drop_in.write_text(old)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "otel-jb.service" not in done.stderr, done.stderr
    rating = ["systemd-analyze", "security", "--offline=true", f"--threshold={25 if not old else 30}", str(unit)]
    rated = subprocess.run(rating, capture_output=True, text=True, check=False)
    assert rated.returncode == 0, rated.stdout
