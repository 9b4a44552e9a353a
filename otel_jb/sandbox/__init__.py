# SPDX-License-Identifier: Apache-2.0
"""The process in which hostile files are read, and the questions that can be put to it."""
