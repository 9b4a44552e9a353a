// SPDX-License-Identifier: Apache-2.0
// Functions that keep their own return address and come back through it a second time: setjmp, and contexts that are exchanged.
// Standard input: "COUNT\n": makes COUNT rounds of each and answers "done".
#include <setjmp.h>
#include <stdio.h>
#include <ucontext.h>

static ucontext_t here, there;
static char stack[1 << 16];
static void other(void) {
  for (;;) swapcontext(&there, &here);
}
int main(void) {
  int count;
  jmp_buf again;
  getcontext(&there);
  there.uc_stack.ss_sp = stack;
  there.uc_stack.ss_size = sizeof(stack);
  makecontext(&there, other, 0);
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (scanf("%d", &count) == 1) {
    for (volatile int i = 0; i < count; i++) {
      if (!_setjmp(again)) longjmp(again, 1);
      swapcontext(&here, &there);
    }
    puts("done");
  }
  return 0;
}
