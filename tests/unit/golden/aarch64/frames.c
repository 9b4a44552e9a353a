// SPDX-License-Identifier: Apache-2.0
// Frames of AArch64, for tests/unit/test_unwind.py: return addresses that are signed, a frame that is counted from x29, a function
// that nothing calls, and the way out of a signal handler.
__attribute__((noinline)) void note(volatile char *room) { room[0] = 1; }
__attribute__((noinline)) int put(int bytes) {
  char room[16];
  note(room);
  return bytes;
}
__attribute__((noinline)) int middle(int bytes) {
  char *room = __builtin_alloca(bytes);
  note(room);
  return put(bytes) + room[0];
}
__attribute__((noinline)) int outer(int bytes) { return middle(bytes) + 1; }

__asm__(
    // As in glibc's sysdeps/aarch64/start.S.
    ".globl _start\n.type _start, %function\n_start:\n.cfi_startproc\nnop\n.cfi_undefined x30\n"
    "mov x29, #0\nmov x30, #0\nbl outer\nbrk #0\n.cfi_endproc\n.size _start, . - _start\n"
    // As in the kernel's arch/arm64/kernel/vdso/sigreturn.S: no description, and a word before it for a return address less one.
    "nop\n.globl __kernel_rt_sigreturn\n.type __kernel_rt_sigreturn, %function\n__kernel_rt_sigreturn:\n"
    "mov x8, #139\nsvc #0\n.size __kernel_rt_sigreturn, . - __kernel_rt_sigreturn\n");
