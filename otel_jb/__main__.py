# SPDX-License-Identifier: Apache-2.0
"""`python -m otel_jb` is `otel-jb`."""

from otel_jb.cli.main import entry

entry()
