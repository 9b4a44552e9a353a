# SPDX-License-Identifier: Apache-2.0
"""Processes and containers as the host shows them. Knows nothing of ELF or BPF."""
