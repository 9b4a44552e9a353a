# SPDX-License-Identifier: Apache-2.0
"""Turns processes and files into a plan: what is measured, where its probes go, and why."""
