// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// BCC asks for a version; nothing in the program depends on it.
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))
#define LINUX_VERSION_CODE KERNEL_VERSION(5, 15, 0)
