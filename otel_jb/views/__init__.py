# SPDX-License-Identifier: Apache-2.0
"""Output for people: the live table and the summary."""
