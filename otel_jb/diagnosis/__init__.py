"""Judging what was measured. Pure functions: no I/O."""
