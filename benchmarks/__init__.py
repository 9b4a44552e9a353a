# SPDX-License-Identifier: Apache-2.0
"""Benchmarks; none of them is a test. Each module says how it is run and what it measures."""
