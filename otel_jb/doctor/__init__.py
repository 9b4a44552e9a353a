# SPDX-License-Identifier: Apache-2.0
"""Checks whether this machine and a target can be measured, with remedies."""
