# SPDX-License-Identifier: Apache-2.0
"""The command line: one module per command; the only place where an error becomes an exit code."""
