# SPDX-License-Identifier: Apache-2.0
"""The frozen records that travel between the rooms, names, and errors. Imports nothing else of the agent."""
