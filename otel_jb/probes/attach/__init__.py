# SPDX-License-Identifier: Apache-2.0
"""Putting probes into programs and taking them out."""
