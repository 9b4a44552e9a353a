# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry agent for the jitter buffers of running, already compiled media servers."""

__version__ = "0.1.0"
