# SPDX-License-Identifier: Apache-2.0
"""The page at `/`: tables of the present state, what changed of them as server-sent events, and the files that a browser loads."""
