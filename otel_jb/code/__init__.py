# SPDX-License-Identifier: Apache-2.0
"""Analysis of machine code: a function's graph, its ends, everything it can reach, and its use of the stack pointer."""
