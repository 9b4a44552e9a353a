# SPDX-License-Identifier: Apache-2.0
"""Call stacks of slow calls: walked from copied memory, and named."""
