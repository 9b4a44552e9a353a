# SPDX-License-Identifier: Apache-2.0
"""From stream records to metrics, spans, OTLP and the Prometheus endpoint.

Knows neither BPF nor ELF. The modules that import the OpenTelemetry SDK, gRPC or prometheus-client do so when they are imported
(`otlp`, `selfmetrics`, `spans`, `prometheus`) or used; `state`, `histogram`, `metrics`, `endpoint`, `environment` and `clock`
stay light.
"""
