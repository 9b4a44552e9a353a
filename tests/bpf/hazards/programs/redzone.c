// SPDX-License-Identifier: Apache-2.0
// A leaf that keeps values below the stack pointer (the red zone of the x86-64 ABI) across a 5-byte nop, as compilers put it before
// loops. Linux 6.18 makes a call of a probed one, and its return address falls on those values.
#include "hazard.h"

struct tally tallies[4] = {{"jitterbuffer_put", 0, 0}};
PROBED int jitterbuffer_put(long packet);
#ifdef __x86_64__
__asm__(
    ".text\n"
    ".type jitterbuffer_put, @function\n"
    "jitterbuffer_put:\n"
    "  .cfi_startproc\n"
    "  movq %rdi, -8(%rsp)\n"
    "  movq %rdi, -16(%rsp)\n"
    "  .byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n"
    "  movl $3, %ecx\n"
    "1: addq -8(%rsp), %rax\n"
    "  decl %ecx\n"
    "  jne 1b\n"
    "  movq -8(%rsp), %rax\n"
    "  addq -16(%rsp), %rax\n"
    "  andl $127, %eax\n"
    "  ret\n"
    "  .cfi_endproc\n"
    ".size jitterbuffer_put, . - jitterbuffer_put\n");
#else
PROBED int jitterbuffer_put(long packet) { return packet * 2 & 127; }
#endif
static long play(long rounds) {
  long sum = 0;
  for (long i = 0; i < rounds; i++) sum += CALL(0, jitterbuffer_put(i));
  return sum;
}
