# SPDX-License-Identifier: Apache-2.0
"""Whether this machine and a target can be measured, and the remedy where not."""
