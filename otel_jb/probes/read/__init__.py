# SPDX-License-Identifier: Apache-2.0
"""Reading what the kernel counted."""
