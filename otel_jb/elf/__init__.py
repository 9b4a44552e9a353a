# SPDX-License-Identifier: Apache-2.0
"""What an ELF file tells: its image, symbols, debug files, imports. Knows nothing of processes or BPF."""
