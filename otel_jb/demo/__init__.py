# SPDX-License-Identifier: Apache-2.0
"""The traffic of `otel-jb demo`: an FFmpeg that receives RTP through a relay that loses, delays and duplicates."""
