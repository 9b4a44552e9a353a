# SPDX-License-Identifier: Apache-2.0
"""Processes and containers as the host shows them. This room knows nothing about ELF or BPF."""
