// SPDX-License-Identifier: Apache-2.0
// Calls one edge-probed function at the rate that it is told. Standard input: calls a second, one number a line; it goes on at that
// rate until the next. Answer, a line each: the calls that were made at the rate before.
#include <poll.h>
#include <stdio.h>
#include <time.h>

__asm__(".text\n.globl jitterbuffer_put\n.type jitterbuffer_put,@function\njitterbuffer_put:\n.cfi_startproc\n"
        "push %rbx\n.cfi_adjust_cfa_offset 8\nmov %edx,%eax\ntest %rsp,%rsp\nje 9f\n.cfi_remember_state\n"
        "pop %rbx\n.cfi_adjust_cfa_offset -8\nret\n.cfi_restore_state\n9: ud2\n.cfi_endproc\n"
        ".size jitterbuffer_put,.-jitterbuffer_put\n");
int jitterbuffer_put(void *, int, int);

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

int main(void) {
  long rate = 0, made = 0;
  double from = now_s();
  setvbuf(stdout, 0, _IOLBF, 0);
  setvbuf(stdin, 0, _IONBF, 0);
  puts("ready");
  for (;;) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    if (poll(&input, 1, 2) > 0) {
      printf("%ld\n", made);
      if (scanf("%ld", &rate) != 1) return 0;
      made = 0;
      from = now_s();
    }
    for (long due = (long)((now_s() - from) * rate); made < due; made++) jitterbuffer_put(&made, 100, 0);
  }
}
