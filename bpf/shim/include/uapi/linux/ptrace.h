// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// The registers that a uprobe program sees: arch/x86/include/asm/ptrace.h and arch/arm64/include/uapi/asm/ptrace.h.
#ifndef SHIM_UAPI_LINUX_PTRACE_H
#define SHIM_UAPI_LINUX_PTRACE_H

#if defined(__x86_64__)
struct pt_regs {
  unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#elif defined(__aarch64__)
struct user_pt_regs {
  unsigned long long regs[31], sp, pc, pstate;
};
struct pt_regs {
  struct user_pt_regs user_regs;
};
#endif

#endif
