# SPDX-License-Identifier: Apache-2.0
"""Evaluation of measurements. Pure functions: no I/O."""
