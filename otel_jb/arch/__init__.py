# SPDX-License-Identifier: Apache-2.0
"""Everything that depends on the machine: system call numbers, registers, the decoder, what a probe costs on an instruction."""
