// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// The two architectures: where arguments, return value, stack and frame pointer are, and when a conditional branch is taken.
#ifndef OTEL_JB_ARCH_H
#define OTEL_JB_ARCH_H

#if defined(__x86_64__) || defined(__TARGET_ARCH_x86)
#define REGS struct pt_regs
#define REG_A1(c) ((c)->di)
#define REG_A2(c) ((c)->si)
#define REG_A3(c) ((c)->dx)
#define REG_A4(c) ((c)->cx)
#define REG_A5(c) ((c)->r8)
#define REG_A6(c) ((c)->r9)
#define REG_RV(c) ((c)->ax)
#define REG_SP(c) ((c)->sp)
#define REG_FP(c) ((c)->bp)
#define REG_IP(c) ((c)->ip)
#define REG_LR(c) 0  // the return address is in the copy of the stack
#define REG_CC(c) ((c)->flags)
// Go's calling convention: its arguments, and the goroutine.
#define GO_A1(c) ((c)->ax)
#define GO_A2(c) ((c)->bx)
#define GO_A3(c) ((c)->cx)
#define GO_A4(c) ((c)->di)
#define GO_A5(c) ((c)->si)
#define GO_A6(c) ((c)->r8)
#define REG_GO(c) ((c)->r14)

// Intel SDM Vol. 1, appendix B: condition codes; the low bit negates. An end's code is a constant: each case has what keeps the compiler from
// making a choice of values out of the branch, which the verifier then leaves out.
static inline __attribute__((always_inline)) u32 condition_holds(u32 cc, u64 flags) {
  u32 t;
#define FLAG(bit) (u32)(flags >> (bit)&1)
#define CASE(number, condition) \
  case number:                  \
    t = (condition);            \
    asm volatile("" : "+r"(t)); \
    break;
  switch (cc >> 1 & 7) {
    CASE(0, FLAG(11))
    CASE(1, FLAG(0))
    CASE(2, FLAG(6))
    CASE(3, FLAG(0) | FLAG(6))
    CASE(4, FLAG(7))
    CASE(5, FLAG(2))
    CASE(6, FLAG(7) ^ FLAG(11))
    default:
      t = FLAG(6) | (FLAG(7) ^ FLAG(11));
      asm volatile("" : "+r"(t));
  }
#undef CASE
#undef FLAG
  return t ^ (cc & 1);
}
// By hardware number.
#define GENERAL_REGISTERS(c)                                                                                              \
  (c)->ax, (c)->cx, (c)->dx, (c)->bx, (c)->sp, (c)->bp, (c)->si, (c)->di, (c)->r8, (c)->r9, (c)->r10, (c)->r11, (c)->r12, \
      (c)->r13, (c)->r14, (c)->r15
// x86 keeps a load before a later store (TSO), so a plain store hands a slot back, if the compiler keeps the order too.
#define RELEASE_SLOT(p)            \
  do {                             \
    asm volatile("" ::: "memory"); \
    *(volatile u64 *)(p) = 0;      \
  } while (0)
#define ADDS_IN_ORDER 1  // everybody sees locked additions in the order in which they were made

#elif defined(__aarch64__) || defined(__TARGET_ARCH_arm64)
#define REGS struct user_pt_regs
#define REG_A1(c) ((c)->regs[0])
#define REG_A2(c) ((c)->regs[1])
#define REG_A3(c) ((c)->regs[2])
#define REG_A4(c) ((c)->regs[3])
#define REG_A5(c) ((c)->regs[4])
#define REG_A6(c) ((c)->regs[5])
#define REG_RV(c) ((c)->regs[0])
#define REG_SP(c) ((c)->sp)
#define REG_FP(c) ((c)->regs[29])
#define REG_IP(c) ((c)->pc)
#define REG_LR(c) ((c)->regs[30])
#define REG_CC(c) ((c)->pstate)
#define GO_A1(c) ((c)->regs[0])
#define GO_A2(c) ((c)->regs[1])
#define GO_A3(c) ((c)->regs[2])
#define GO_A4(c) ((c)->regs[3])
#define GO_A5(c) ((c)->regs[4])
#define GO_A6(c) ((c)->regs[5])
#define REG_GO(c) ((c)->regs[28])

// Arm ARM, ConditionHolds(): NZCV are bits 31 to 28 of PSTATE; the low bit negates except for 15.
static inline __attribute__((always_inline)) u32 condition_holds(u32 cc, u64 pstate) {
  u32 n = pstate >> 31 & 1, z = pstate >> 30 & 1, c = pstate >> 29 & 1, v = pstate >> 28 & 1, t;
  switch (cc >> 1 & 7) {
    case 0:
      t = z;
      break;
    case 1:
      t = c;
      break;
    case 2:
      t = n;
      break;
    case 3:
      t = v;
      break;
    case 4:
      t = c & (z ^ 1);
      break;
    case 5:
      t = n == v;
      break;
    case 6:
      t = n == v && !z;
      break;
    default:
      return 1;
  }
  return t ^ (cc & 1);
}
// `ret` is the end there, and the value is where it belongs; x0 to x15 for completeness.
#define GENERAL_REGISTERS(c)                                                                                                    \
  (c)->regs[0], (c)->regs[1], (c)->regs[2], (c)->regs[3], (c)->regs[4], (c)->regs[5], (c)->regs[6], (c)->regs[7], (c)->regs[8], \
      (c)->regs[9], (c)->regs[10], (c)->regs[11], (c)->regs[12], (c)->regs[13], (c)->regs[14], (c)->regs[15]
// Arm may move a load behind a later plain store; an exchange is ordered both ways.
#define RELEASE_SLOT(p) __sync_lock_test_and_set((u64 *)(p), 0)
#define ADDS_IN_ORDER 0
#else
#error "x86-64 and AArch64 only"
#endif

#endif
