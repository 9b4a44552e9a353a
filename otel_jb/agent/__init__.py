# SPDX-License-Identifier: Apache-2.0
"""The running agent: its loop, the governor, the service around it, recording and replay."""
