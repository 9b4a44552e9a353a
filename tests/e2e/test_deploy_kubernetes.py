# SPDX-License-Identifier: Apache-2.0
"""The Helm chart: rendered by Helm, validated against Kubernetes' schemas, with its Collector configurations run with an API server's answers."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from otel_jb.probes import features
from tests.blocks import blocks, commands, script
from tests.e2e.agent_process import ROOT, free_tcp_port, until
from tests.e2e.collector import program, prometheus, running
from tests.e2e.synthetic import world
from tests.telemetry_samples import series

CHART = ROOT / "deploy" / "kubernetes" / "otel-jb"
VERSIONS = ("1.25.0", "1.29.0", "1.34.0")
EVERYTHING = """
agent:
  config: "interval: 5s"
  arguments: ["--max-probes", "7"]
  nodeSelector: {media: "true"}
  priorityClassName: system-node-critical
gateway: {autoscaling: {enabled: true}}
remoteWrite: {endpoint: "https://metrics.example.org/api/v1/push", tokenSecret: metrics-token}
clusterName: edge
"""
TENANT = """
remoteWrite: {endpoint: "https://mimir/api/v1/push", headers: {X-Scope-OrgID: media}, tls: {secret: mimir-tls, clientCertificate: true}}
tempo: {endpoint: "tempo:4317", headers: {X-Scope-OrgID: media}, compression: zstd, tls: {secret: tempo-tls}}
"""
OPERATOR = """
remoteWrite: {endpoint: ""}
podMonitor: {enabled: true, labels: {release: stack}}
prometheusRule: {enabled: true, labels: {release: stack}}
"""
NOTHING = """
networkPolicy: {enabled: false}
remoteWrite: {endpoint: ""}
tempo: {endpoint: ""}
"""


def render(values: Path, version: str = VERSIONS[-1]) -> subprocess.CompletedProcess[str]:
    argv = [program("helm"), "template", "media", str(CHART), "--kube-version", version, "--values", str(values)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def documents(values: Path, version: str = VERSIONS[-1]) -> list[dict[str, Any]]:
    done = render(values, version)
    assert done.returncode == 0, done.stderr[-2000:]
    return [one for one in yaml.safe_load_all(done.stdout) if one]


@pytest.fixture
def values(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    file = tmp_path / "values.yaml"
    file.write_text(getattr(request, "param", ""))
    return file


def test_helm_lints_the_chart() -> None:
    """helm lint --strict has nothing to say against the chart."""
    argv = [program("helm"), "lint", "--strict", str(CHART)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def test_the_documented_command_installs_the_chart() -> None:
    """The `helm install` of docs/kubernetes.md makes the same of the chart when Helm only renders it, and each value that it sets arrives."""
    shell = [block for block in blocks() if block.language == "sh"]
    (words,) = (one for block in shell for one in commands(script(block)) if one[0] == "helm")
    assert words[:3] == ["helm", "install", "media"]
    argv = [program("helm"), "template", *words[2:], "--kube-version", VERSIONS[-1]]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    for value in ("REGISTRY/otel-jb:0.1.0", "http://mimir/api/v1/push", "tempo:4317"):
        assert value in done.stdout


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "values", ["", EVERYTHING, NOTHING, TENANT], indirect=True, ids=["defaults", "everything", "nothing", "tenant"]
)
def test_rendered_objects_are_valid(values: Path, version: str) -> None:
    """Every rendered object satisfies that Kubernetes version's schema, unknown fields refused."""
    from kubernetes_validate import validate  # type: ignore[import-untyped]

    found = documents(values, version)
    assert {one["kind"] for one in found} >= {"DaemonSet", "Deployment", "Service", "ClusterRole", "ConfigMap"}
    for one in found:
        validate(one, version.rpartition(".")[0], strict=True)


@pytest.mark.parametrize("values", [OPERATOR], indirect=True, ids=["operator"])
def test_the_prometheus_operator_gets_the_shipped_rules_and_the_agents_port(values: Path) -> None:
    """The PrometheusRule holds the groups of deploy/prometheus/rules as they are; the PodMonitor selects the agents and a port that they have."""
    found = {one["kind"]: one for one in documents(values) if one["apiVersion"] == "monitoring.coreos.com/v1"}
    shipped = [
        group
        for name in ("recording.yml", "alerts.yml")
        for group in yaml.safe_load((ROOT / "deploy/prometheus/rules" / name).read_text())["groups"]
    ]
    assert found["PrometheusRule"]["spec"]["groups"] == shipped
    assert found["PrometheusRule"]["metadata"]["labels"]["release"] == "stack"
    (daemonset,) = [one for one in documents(values) if one["kind"] == "DaemonSet"]
    pod = daemonset["spec"]["template"]
    monitor = found["PodMonitor"]["spec"]
    assert monitor["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    (port,) = [each["port"] for each in monitor["podMetricsEndpoints"]]
    assert port in {each["name"] for each in pod["spec"]["containers"][0]["ports"]}


def test_the_notes_say_where_metrics_go(tmp_path: Path) -> None:
    """After an installation Helm prints where metrics and traces go, and how to look at the agents."""
    # `helm template` leaves the notes out, and `helm install` takes no version of Kubernetes: so they are rendered as a value.
    chart = shutil.copytree(CHART, tmp_path / "chart")
    (chart / "files/notes").write_text((CHART / "templates/NOTES.txt").read_text())
    (chart / "templates/said.yaml").write_text('notes: {{ tpl (.Files.Get "files/notes") . | toJson }}\n')
    file = tmp_path / "values.yaml"
    for values, said in (
        ("", "Metrics go through the gateways to http://prometheus-server.monitoring.svc"),
        (OPERATOR, "Prometheus scrapes the agents"),
        (NOTHING, "Metrics go nowhere"),
    ):
        file.write_text(values)
        argv = [program("helm"), "template", "media", str(chart), "--kube-version", VERSIONS[-1], "--values", str(file)]
        done = subprocess.run([*argv, "-s", "templates/said.yaml"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        notes = yaml.safe_load(done.stdout)["notes"]
        assert said in notes
        assert "exec daemonset/media-otel-jb-agent -c agent -- otel-jb doctor" in notes


def test_the_charts_readme_has_every_value() -> None:
    """Each value of values.yaml is in the README's table, at least by its group."""
    readme = (CHART / "README.md").read_text()
    for group, below in yaml.safe_load((CHART / "values.yaml").read_text()).items():
        for name in [f"{group}.{key}" for key in below] if isinstance(below, dict) else [group]:
            last = name.rpartition(".")[2]
            assert f"`{name}" in readme or f"`.{last}`" in readme, name


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("gateway: {replicas: 0}", "/gateway/replicas"),
        ("agents: {}", "agents"),
        ("agent: {image: {repository: x, tag: latest}}", "/agent/image/tag"),
        ("remoteWrite: {endpoint: prometheus}", "/remoteWrite/endpoint"),
        ("tempo: {tls: {clientCertificate: true}}", "/tempo/tls"),
        ("remoteWrite: {headers: {'not a name': x}}", "'not a name' does not match"),
        ("podMonitor: {enabled: true}", "would bring every series twice"),
    ],
    indirect=["values"],
)
def test_wrong_values_are_refused(values: Path, said: str) -> None:
    """values.schema.json names what is wrong with the values."""
    done = render(values)
    assert done.returncode != 0
    assert said in done.stderr


@pytest.mark.parametrize(
    ("values", "more"), [("", ()), ("agent: {kernelsBefore66: true}", (features.OLD_KERNELS,))], indirect=["values"]
)
def test_privileges_are_named_one_by_one(values: Path, more: tuple[str, ...]) -> None:
    """The agent has the documented capabilities and the host's PIDs; the Collectors have nothing, and may read only pods."""
    found = documents(values)
    (daemonset,) = [one for one in found if one["kind"] == "DaemonSet"]
    pod = daemonset["spec"]["template"]["spec"]
    assert pod["hostPID"] is True
    assert not pod.get("hostNetwork")
    agent, node = pod["containers"]
    wanted = {name.removeprefix("CAP_") for name in (*features.CAPABILITIES, *more)}
    assert agent["securityContext"]["allowPrivilegeEscalation"] is bool(more)
    assert set(agent["securityContext"]["capabilities"]["add"]) == wanted
    assert agent["securityContext"]["privileged"] is False
    (deployment,) = [one for one in found if one["kind"] == "Deployment"]
    for container in (node, *deployment["spec"]["template"]["spec"]["containers"]):
        assert container["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    (role,) = [one for one in found if one["kind"] == "ClusterRole"]
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    assert {name for rule in role["rules"] for name in rule["resources"]} == {"pods"}


@pytest.mark.parametrize("values", ["", NOTHING, TENANT], indirect=True, ids=["defaults", "nothing", "tenant"])
def test_rendered_collector_configurations_are_valid(values: Path, tmp_path: Path) -> None:
    """The Collector accepts the configurations as they are rendered, with the variables that their pods get."""
    found = documents(values)
    workloads = {one["metadata"]["name"]: one for one in found if one["kind"] in ("DaemonSet", "Deployment")}
    checked = 0
    for one in found:
        if one["kind"] == "ConfigMap":
            containers = workloads[one["metadata"]["name"]]["spec"]["template"]["spec"]["containers"]
            (collector,) = [each for each in containers if each["name"] == "collector"]
            environment = {each["name"]: str(each.get("value", "node-1")) for each in collector["env"]}
            argv = [program("collector"), "validate"]
            for option in collector["args"]:
                file = tmp_path / Path(option).name
                file.write_text(one["data"][file.name].replace("/etc/otelcol-", f"{tmp_path}/"))
                argv += ["--config", str(file)]
            done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, env=environment)
            assert done.returncode == 0, done.stderr[-2000:]
            checked += 1
    assert checked == 2


def a_pod(name: str, container_id: str) -> dict[str, Any]:
    """A pod of a ReplicaSet as an API server lists it."""
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "media-5d4f8c7b9", "uid": "r-1", "controller": True}
    status = {"containerID": f"containerd://{container_id}", "name": "server", "restartCount": 0, "ready": True}
    return {
        "metadata": {
            "name": name,
            "namespace": "media",
            "uid": f"u-{name}",
            "resourceVersion": "1",
            "ownerReferences": [owner],
            "labels": {"pod-template-hash": "5d4f8c7b9"},
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "server", "image": "srs:7"}]},
        "status": {"phase": "Running", "podIP": "10.0.0.9", "containerStatuses": [status]},
    }


@contextlib.contextmanager
def api_server(pods: list[dict[str, Any]]) -> Iterator[str]:
    """Answers lists and watches of one node's pods as an API server does, and nothing else; yields its URL."""
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            watches = "watch=" in self.path
            if not (self.path.startswith("/api/v1/pods?") and "fieldSelector=spec.nodeName%3Dnode-1" in self.path):
                self.send_error(403)
                return
            kind, group = "Pod", "v1"
            listed = {"kind": f"{kind}List", "apiVersion": group, "metadata": {"resourceVersion": "2"}, "items": pods}
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            if not watches:
                self.wfile.write(json.dumps(listed).encode())
                return
            if "sendInitialEvents=true" in self.path:
                for item in pods:
                    self.event("ADDED", {"kind": kind, "apiVersion": group, **item})
                note = {"resourceVersion": "2", "annotations": {"k8s.io/initial-events-end": "true"}}
                self.event("BOOKMARK", {"kind": kind, "apiVersion": group, "metadata": note})
            closing.wait(60)

        def event(self, kind: str, item: dict[str, Any]) -> None:
            self.wfile.write(json.dumps({"type": kind, "object": item}).encode() + b"\n")
            self.wfile.flush()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def kubeconfig(directory: Path, url: str) -> Path:
    file = directory / "kubeconfig"
    clusters = [{"name": "test", "cluster": {"server": url}}]
    contexts = [{"name": "test", "context": {"cluster": "test", "user": "nobody"}}]
    users = [{"name": "nobody", "user": {}}]
    settings = {"apiVersion": "v1", "kind": "Config", "clusters": clusters, "contexts": contexts, "users": users}
    file.write_text(yaml.safe_dump({**settings, "current-context": "test"}))
    return file


def test_targets_are_named_and_routed_as_in_a_cluster(tmp_path: Path) -> None:
    """Through node Collector and two gateways into remote write: pod by container.id, one gateway a target, values unchanged.

    The configurations are the chart's; only end points are set. Two loopback addresses are the gateways, and the headless
    service's name resolves to both in a mount namespace with a hosts file of its own.
    """
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n127.0.0.21 gateways.test\n127.0.0.22 gateways.test\n")
    otlp, port = free_tcp_port(), free_tcp_port()
    gateways = {address: free_tcp_port() for address in ("127.0.0.21", "127.0.0.22")}
    with contextlib.ExitStack() as stack:
        # A server for each gateway, so that one can see which gateway a series came through.
        stores = [stack.enter_context(prometheus(tmp_path, name=f"store{number}")) for number in range(2)]
        for number, (address, telemetry) in enumerate(gateways.items()):
            health = f"{address}:{free_tcp_port()}"
            environment = {
                "OTEL_JB_OTLP_GRPC_LISTEN": f"{address}:{port}",
                "OTEL_JB_HEALTH_LISTEN": health,
                "OTEL_JB_TELEMETRY_HOST": address,
                "OTEL_JB_TELEMETRY_PORT": str(telemetry),
                "OTEL_JB_REMOTE_WRITE_ENDPOINT": stores[number].remote_write,
            }
            argv = [program("collector"), "--config", str(CHART / "files" / "gateway.yaml")]
            stack.enter_context(running(argv, tmp_path / f"gateway{number}.log", f"http://{health}/", environment))
        url = stack.enter_context(api_server([a_pod("srs-0", "c0ffee"), a_pod("other-0", "dec0de")]))
        health = f"127.0.0.1:{free_tcp_port()}"
        environment = {
            "K8S_NODE_NAME": "node-1",
            "KUBECONFIG": str(kubeconfig(tmp_path, url)),
            "OTEL_JB_KUBERNETES_AUTH": "kubeConfig",
            "OTEL_JB_OTLP_GRPC_LISTEN": f"127.0.0.1:{otlp}",
            "OTEL_JB_HEALTH_LISTEN": health,
            "OTEL_JB_TELEMETRY_HOST": "127.0.0.1",
            "OTEL_JB_TELEMETRY_PORT": str(free_tcp_port()),
            "OTEL_JB_GATEWAY_HOST": "gateways.test",
            "OTEL_JB_GATEWAY_PORT": str(port),
        }
        script = 'mount --bind "$0" /etc/hosts && exec "$@"'
        node = [program("collector"), "--config", str(CHART / "files" / "node.yaml")]
        argv = ["unshare", "--mount", "sh", "-c", script, str(hosts), *node]
        stack.enter_context(running(argv, tmp_path / "node.log", f"http://{health}/", environment))
        made = stack.enter_context(world(f"127.0.0.1:{otlp}"))
        others = [replace(made.srs, id=100 + n, pid=5000 + n, service_instance_id=str(uuid4())) for n in range(24)]
        for target in others:
            one = series(target.id, target, "SrsRtpJitterBuffer::put")
            made.state.apply(target)
            made.state.apply(one)
            made.functions[f"put of {target.pid}"] = one

        def query(expression: str) -> list[tuple[dict[str, str], float]]:
            return [found for store in stores for found in store.query(expression)]

        def arrived() -> bool:
            for function in made.functions:
                made.call(function, 4_000)
            made.step()
            return len(query("jitterbuffer_packet_count_total > 3")) == 4 + len(others) and bool(
                query('jitterbuffer_packet_count_total{pod="srs-0"} > 3')
            )

        until(arrived, "every target's series, with its pod's name", timeout=60, every=0.3)
        for function in made.functions:
            made.call(function, *[5_000] * 100)
        made.step()
        calls = len(made.durations[1])
        total = "jitterbuffer_packet_count_total"
        until(lambda: {value for _, value in query(total)} == {calls}, "the last values arrive", timeout=30, every=0.2)
        labels = query(total + '{function="ff_rtp_parse_packet"}')[0][0]
        assert (labels["namespace"], labels["pod"], labels["pid"]) == ("media", "srs-0", "4711")
        (info,) = [labels for labels, _ in query('target_info{job="ffmpeg"}')]
        assert info["k8s_deployment_name"] == "media"
        assert info["k8s_container_name"] == "server"
        # The other targets are in no container of this node: nothing is guessed, least of all from the connection's address.
        assert all("pod" not in labels for labels, _ in query(total + '{job="live"}'))
        # From the first point to the last, a target went through one gateway, and both gateways had work.
        through = [
            {labels["instance"] for labels, _ in store.query(f"last_over_time({total}[10m])")} for store in stores
        ]
        assert not through[0] & through[1]
        assert all(through)
        assert len(through[0] | through[1]) == 2 + len(others)
