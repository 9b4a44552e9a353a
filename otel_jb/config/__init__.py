# SPDX-License-Identifier: Apache-2.0
"""What can be configured, where it comes from, and how it is read."""
