# SPDX-License-Identifier: Apache-2.0
"""From processes and files to a plan: what is measured, where its probes go, and why."""
