# SPDX-License-Identifier: Apache-2.0
"""The ELF format: image, symbols, debug files, imports. This room knows nothing about processes or BPF."""
