# SPDX-License-Identifier: Apache-2.0
"""The BPF programs: compiled, kept, filled in for each probe, loaded."""
