# SPDX-License-Identifier: Apache-2.0
"""What machine code does: a function's graph, its ends, what it can reach, what it does to the stack pointer."""
