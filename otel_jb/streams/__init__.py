# SPDX-License-Identifier: Apache-2.0
"""RTP streams: which of them have a label of their own, and what they are called."""
