# SPDX-License-Identifier: Apache-2.0
"""Judging what was measured. Pure functions: no I/O."""
