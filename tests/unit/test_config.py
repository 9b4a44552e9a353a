# SPDX-License-Identifier: Apache-2.0
"""The configuration: what the file, the environment and the command line say, and which of them wins."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_jb.cli import run
from otel_jb.config import layers, model, yamlfile
from otel_jb.config.model import (
    Address,
    Config,
    CpuShare,
    Detail,
    EndChoice,
    Otlp,
    OtlpProtocol,
    TargetSelector,
    Threshold,
)
from otel_jb.config.yamlfile import Duration
from otel_jb.model.errors import ConfigError, UsageError
from otel_jb.model.plan import EndStrategy

pytestmark = pytest.mark.unit


def parse(text: str) -> Config:
    return yamlfile.parse(text, "otel-jb.yaml", Config)


def effective(*arguments: str, environ: Mapping[str, str] | None = None) -> Config:
    parser = argparse.ArgumentParser()
    run.add_options(parser)
    return run.configuration(parser.parse_args(arguments), environ or {})


def test_an_empty_file_is_the_defaults() -> None:
    """Nothing has to be configured."""
    assert parse("") == Config()
    assert str(Config().listen) == "127.0.0.1:9310"
    assert Config().interval.seconds == 10
    assert Config().max_probes == 256
    assert str(Config().overhead.budget) == "10%"


def test_a_file_sets_what_it_names() -> None:
    """Every section of the file arrives where it belongs."""
    parsed = parse("""
targets:
  - pid: 12
    service_name: ingest
    attributes: {deployment.environment.name: production}
  - binary: /usr/bin/ffmpeg
  - name: "srs*"
functions: {include: ["Srs*::put"], exclude: ["*::get_time"]}
listen: "[::1]:9311"
otlp: {endpoint: "https://collector:4317", headers: {authorization: secret}}
histogram: {kind: exponential, boundaries: [1ms, 2.5ms, 1s]}
slow: {threshold: p99.5, functions: {"Srs*": 5ms}, roles: {get: off}, rate: 5}
overhead: {budget: off}
end_strategy: ret-sites
log: {level: debug, format: json}
""")
    assert parsed.targets == (
        TargetSelector(pid=12, service_name="ingest", attributes={"deployment.environment.name": "production"}),
        TargetSelector(binary="/usr/bin/ffmpeg"),
        TargetSelector(name="srs*"),
    )
    assert parsed.listen == Address("::1", 9311)
    assert parsed.histogram.boundaries == (1_000_000, 2_500_000, 1_000_000_000)
    assert parsed.overhead.budget is None
    assert parsed.end_strategy.strategy is EndStrategy.RET_SITES
    assert parsed.otlp.headers == {"authorization": "secret"}
    assert parsed.slow.of("SrsX::put", "put") == Threshold(ns=5_000_000)
    assert parsed.slow.of("other", "get") is None
    assert parsed.slow.of("other", "put") == Threshold(percentile=99.5)


@pytest.mark.parametrize("role", ["wait", "tick", "query"])
def test_what_waits_or_looks_has_a_threshold_only_where_the_user_sets_one(role: str) -> None:
    """Neither the default nor a general threshold holds for these roles; one for the function or the role does."""
    assert Config().slow.of("SrsRtcConsumer::wait", role) is None
    assert Config().slow.of("SrsRtcConsumer::wait", "get") == Threshold(ns=10_000_000)
    assert parse("slow: {threshold: 1ms}").slow.of("SrsRtcConsumer::wait", role) is None
    assert parse(f"slow: {{roles: {{{role}: 2ms}}}}").slow.of("SrsRtcConsumer::wait", role) == Threshold(ns=2_000_000)
    named = parse('slow: {functions: {"*::wait": p99}}')
    assert named.slow.of("SrsRtcConsumer::wait", role) == Threshold(percentile=99)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_probe: 3", "otel-jb.yaml:1: unknown key 'max_probe'; did you mean 'max_probes'?"),
        ("\n\noverhead:\n  budgett: 3%", "otel-jb.yaml:4: unknown key 'budgett'; did you mean 'budget'?"),
        ("interval: 5", "otel-jb.yaml:1: expected a duration"),
        ("interval: 1ms", "otel-jb.yaml:1: expected an interval from 100ms to 1h, got 1ms"),
        ("listen: 9310", "otel-jb.yaml:1: expected HOST:PORT"),
        ("listen: localhost:99999", "otel-jb.yaml:1: expected HOST:PORT"),
        ("max_probes: 0", "otel-jb.yaml:1: expected max_probes from 1 to 4096, got 0"),
        ("overhead: {budget: 0%}", "otel-jb.yaml:1: expected a percentage"),
        ("overhead: {budget: 0.1}", "otel-jb.yaml:1: expected a percentage"),
        ("slow: {threshold: p10}", "otel-jb.yaml:1: expected a percentile"),
        ("slow: {threshold: 0ms}", "otel-jb.yaml:1: a threshold of 0"),
        ("slow:\n  rate: 0", "otel-jb.yaml:2: expected rate from 1"),
        ("targets:\n  - {}", "otel-jb.yaml:2: a target needs at least one condition"),
        ("targets:\n  - {pid: 1, name: x}", "otel-jb.yaml:2: a target has at most one of pid, binary and name"),
        ("targets:\n  - pid: 0", "otel-jb.yaml:2: expected a process id"),
        (
            "end_strategy: uretprobe",
            "otel-jb.yaml:1: expected one of auto, edge-sites, ",
        ),
        ("otlp:\n  endpoint: ftp://x", "otel-jb.yaml:2: expected a URL"),
        ("otlp: {endpoint: 'http://x:99999'}", "otel-jb.yaml:1: expected a URL"),
        ("histogram: {boundaries: [5ms, 1ms]}", "otel-jb.yaml:1: boundaries must be above 0 and ascend"),
        ("histogram: {boundaries: []}", "otel-jb.yaml:1: expected 1 to 64 boundaries"),
        ("a: &x [1]\nb: *x", "anchors and aliases"),
    ],
)
def test_a_wrong_file_is_one_message_with_its_line(text: str, message: str) -> None:
    """What cannot be used is named with file, line and what was expected."""
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert message in caught.value.message


WORDS = st.text("abcXYZ_:*?[]~ &#'\"0159é", min_size=1, max_size=12)
THRESHOLDS = (
    st.none()
    | st.builds(Threshold, ns=st.integers(1, 10**12))
    | st.builds(Threshold, percentile=st.integers(50_000, 99_999).map(lambda thousandths: thousandths / 1000))
)
CONFIGS = st.builds(
    Config,
    targets=st.lists(
        st.builds(TargetSelector, pid=st.integers(1, 4194303), service_name=st.none() | WORDS)
        | st.builds(TargetSelector, name=WORDS, attributes=st.dictionaries(WORDS, WORDS, max_size=2)),
        max_size=3,
    ).map(tuple),
    functions=st.builds(model.Functions, include=st.lists(WORDS, max_size=3).map(tuple)),
    detail=st.sampled_from(Detail),
    max_probes=st.integers(1, 4096),
    interval=st.integers(100_000_000, 3_600_000_000_000).map(Duration),
    listen=st.none() | st.builds(Address, st.sampled_from(["::1", "127.0.0.1", "localhost"]), st.integers(0, 65535)),
    otlp=st.builds(
        Otlp,
        st.none() | st.just("http://collector:4318/x"),
        st.none() | st.sampled_from(OtlpProtocol),
        st.dictionaries(WORDS, WORDS, max_size=2),
    ),
    histogram=st.builds(
        model.Histogram,
        boundaries=st.sets(st.integers(1, 10**12), min_size=1, max_size=9).map(
            lambda b: tuple(map(Duration, sorted(b)))
        ),
    ),
    slow=st.builds(model.Slow, threshold=THRESHOLDS, functions=st.dictionaries(WORDS, THRESHOLDS, max_size=2)),
    traces=st.booleans(),
    overhead=st.builds(model.Overhead, st.none() | st.integers(1, 10_000).map(lambda n: CpuShare(n / 1000))),
    end_strategy=st.sampled_from(list(EndChoice.known().values())),
    retain=st.integers(0, 86_400_000_000_000).map(Duration),
    attributes=st.dictionaries(WORDS, WORDS, max_size=2),
    inherit_attributes=st.booleans(),
    host_name=st.none() | WORDS,
    record_to=st.none() | WORDS,
)


@given(CONFIGS)
@settings(max_examples=150, deadline=None)
def test_a_printed_configuration_reads_back_equal(original: Config) -> None:
    """--print-config writes a file that means exactly what was in effect."""
    assert parse(layers.to_yaml(original)) == original


def test_the_command_line_wins_over_the_environment_which_wins_over_the_file(tmp_path: Path) -> None:
    """file < OTEL_* < OTEL_JB_* < command line, key by key."""
    file = tmp_path / "c.yaml"
    file.write_text("interval: 2s\nmax_probes: 7\nlisten: 127.0.0.1:1\nlog: {level: error}\nretain: 5s\n")
    environ = {
        "OTEL_METRIC_EXPORT_INTERVAL": "3000",
        "OTEL_JB_INTERVAL": "4s",
        "OTEL_EXPORTER_PROMETHEUS_PORT": "9464",
        "OTEL_LOG_LEVEL": "warn",
    }
    found = effective("--config", str(file), "--max-probes", "9", environ=environ)
    assert (found.interval.seconds, found.max_probes, found.retain.seconds) == (4, 9, 5)
    assert found.listen == Address("127.0.0.1", 9464)
    assert found.log.level is model.LogLevel.WARNING
    assert effective("--interval", "6s", environ=environ).interval.seconds == 6


def test_a_list_on_the_command_line_replaces_the_files(tmp_path: Path) -> None:
    """Naming a process means that one, not that one and those of the file."""
    file = tmp_path / "c.yaml"
    file.write_text("targets: [{name: srs}]\nfunctions: {include: [a], exclude: [b]}\n")
    found = effective("--config", str(file), "--pid", "12", "--pid", "13", "--function", "x")
    assert found.targets == (TargetSelector(pid=12), TargetSelector(pid=13))
    assert found.functions == model.Functions(("x",), ("b",))


def test_the_guides_spelling_works() -> None:
    """`--binary PATH --port 9310` and `--pid N` mean what the guide says."""
    found = effective("--binary", "/usr/bin/ffmpeg", "--port", "9999")
    assert found.targets == (TargetSelector(binary="/usr/bin/ffmpeg"),)
    assert found.listen == Address("127.0.0.1", 9999)


def test_port_keeps_the_host() -> None:
    """--port changes only the port of what --listen or the file says."""
    assert effective("--listen", "0.0.0.0:1", "--port", "2").listen == Address("0.0.0.0", 2)
    assert effective("--listen", "off", "--port", "2").listen == Address("127.0.0.1", 2)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"OTEL_JB_INTERVAL": "soon"}, "OTEL_JB_INTERVAL: expected a duration"),
        ({"OTEL_JB_INTERVAL": "1ms"}, "expected an interval from 100ms to 1h"),
        ({"OTEL_JB_LOG_LEVEL": "degub"}, "did you mean 'debug'?"),
        ({"OTEL_JB_MAX_PROBES": "many"}, "OTEL_JB_MAX_PROBES: expected a whole number"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "gopher://x"}, "OTEL_EXPORTER_OTLP_ENDPOINT: expected a URL"),
    ],
)
def test_a_wrong_variable_is_named(environ: dict[str, str], message: str) -> None:
    """A value of the environment that cannot be used is said with the variable's name."""
    with pytest.raises(ConfigError) as caught:
        effective(environ=environ)
    assert message in caught.value.message


def test_an_empty_variable_counts_as_unset() -> None:
    """OpenTelemetry's rule holds for the agent's own variables too."""
    assert effective(environ=dict.fromkeys([*layers.ENVIRONMENT, layers.CONFIG_FILE_VARIABLE], "")) == Config()


def test_the_environment_can_name_the_file(tmp_path: Path) -> None:
    """$OTEL_JB_CONFIG is read where --config is not given."""
    file = tmp_path / "c.yaml"
    file.write_text("max_probes: 5")
    assert effective(environ={"OTEL_JB_CONFIG": str(file)}).max_probes == 5


def test_every_variable_sets_its_key() -> None:
    """Each documented variable of the agent's own changes the configuration."""
    values = {
        "OTEL_JB_LISTEN": "127.0.0.1:1",
        "OTEL_JB_INTERVAL": "1s",
        "OTEL_JB_DETAIL": "all",
        "OTEL_JB_INFERRED": "none",
        "OTEL_JB_MAX_PROBES": "1",
        "OTEL_JB_SLOW_THRESHOLD": "1ms",
        "OTEL_JB_OVERHEAD_BUDGET": "off",
        "OTEL_JB_INHERIT_ATTRIBUTES": "on",
        "OTEL_JB_LOG_LEVEL": "error",
        "OTEL_JB_LOG_FORMAT": "json",
    }
    assert values.keys() == layers.ENVIRONMENT.keys()
    for variable, value in values.items():
        assert effective(environ={variable: value}) != Config(), variable


def test_otlp_of_the_command_line_is_kept_apart() -> None:
    """The standard variables come between the file and the command line, so the two stay distinguishable."""
    found = effective("--otlp-endpoint", "http://c:4318", "--otlp-header", "k=v=w", "--otlp-protocol", "grpc")
    assert found.otlp == Otlp()
    assert found.otlp_command_line == Otlp("http://c:4318", OtlpProtocol.GRPC, {"k": "v=w"})
    assert parse(layers.to_yaml(found)).otlp == found.otlp_command_line


@pytest.mark.parametrize(
    ("endpoint", "protocol"),
    [
        ("http://c:4317", OtlpProtocol.GRPC),
        ("c:4317", OtlpProtocol.GRPC),
        ("http://c:4318", OtlpProtocol.HTTP),
        ("https://c/otlp", OtlpProtocol.HTTP),
        (None, OtlpProtocol.GRPC),
    ],
)
def test_the_protocol_follows_the_endpoint(endpoint: str | None, protocol: OtlpProtocol) -> None:
    """Port 4318 and a URL with a path mean HTTP, all else gRPC, unless it is said."""
    assert Otlp(endpoint).effective_protocol is protocol
    assert Otlp(endpoint, OtlpProtocol.HTTP).effective_protocol is OtlpProtocol.HTTP


def test_a_service_name_needs_a_target() -> None:
    """A name for all processes of the host would be a mistake."""
    with pytest.raises(UsageError, match="--service-name needs"):
        effective("--service-name", "x")


def test_functions_are_selected_by_any_of_their_names() -> None:
    """A glob matches the demangled or the mangled name; exclusion wins."""
    chosen = model.Functions(("Srs*::put", "_ZN3foo*"), ("*::get*",))
    assert chosen.selects("SrsRtpJitterBuffer::put")
    assert chosen.selects("foo::bar", "_ZN3foo3barEv")
    assert not chosen.selects("foo::get", "_ZN3foo3getEv")
    assert not chosen.selects("other")
    assert model.Functions().selects("anything")


def test_the_documentation_knows_every_key_option_and_variable() -> None:
    """docs/configuration.md has each key of the file, each option and each variable of the agent's own."""
    text = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    parser = argparse.ArgumentParser()
    run.add_print_config(parser)
    run.add_options(parser)
    options = [option for action in parser._actions for option in action.option_strings if option.startswith("--")]
    keys = [line.strip(" -").partition(":")[0] for line in layers.to_yaml(Config()).splitlines() if ":" in line]
    words = [*options, *layers.ENVIRONMENT, layers.CONFIG_FILE_VARIABLE]
    missing = [word for word in words if f"`{word}`" not in text and word != "--help"]
    missing += [key for key in keys if f"{key}:" not in text]
    assert not missing


def test_the_documented_example_is_the_defaults() -> None:
    """The annotated file in docs/configuration.md parses, and means what the agent does without it."""
    text = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    example = text.partition("```yaml\n")[2].partition("```")[0]
    assert parse(example) == Config()


def test_keys_of_the_program_itself_are_not_offered(tmp_path: Path) -> None:
    """A wrong key is answered with the keys that a file may have; what only the command line sets is none of them."""
    file = tmp_path / "c.yaml"
    file.write_text("qqqqqqqq: 1\n")
    with pytest.raises(ConfigError) as caught:
        layers.load(file)
    assert "known here: " in caught.value.message
    assert "command line" not in caught.value.message
    assert "otlp_command_line" not in caught.value.message
