# SPDX-License-Identifier: Apache-2.0
"""The kernel side: programs, links, and reading what they count. The only room that loads `bcc`."""
