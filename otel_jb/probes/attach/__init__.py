"""Putting probes into programs and taking them out."""
