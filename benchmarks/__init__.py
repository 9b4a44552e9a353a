# SPDX-License-Identifier: Apache-2.0
"""Benchmarks; none of them is a test. Each module says how it is run and what it measures."""

import os

# What is measured has its modules compiled, as where it is installed: pip compiles them.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
