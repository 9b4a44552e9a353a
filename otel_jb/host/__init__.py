"""Processes and containers as the host shows them. Knows nothing of ELF or BPF."""
