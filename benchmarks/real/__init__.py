# SPDX-License-Identifier: Apache-2.0
"""Real programs, as they are installed, and what the agent counts of the packets that are sent to them."""
