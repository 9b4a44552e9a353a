// SPDX-License-Identifier: Apache-2.0
// One of many processes of a file. It calls both functions twice a second; standard input: "NAME CALLS ROUNDS\n" (put or get), answer:
// the best round's nanoseconds per call. `jitterbuffer_put` has a branch that every way out crosses; `jitterbuffer_get` ends straight
// in its `ret`, so that a return probe or the `ret` itself is its end.
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define BEGIN(name)                                                                                              \
  ".text\n.p2align 4\n.globl " #name "\n.type " #name ",@function\n" #name ":\n.cfi_startproc\n"                 \
  "push %rbx\n.cfi_adjust_cfa_offset 8\nmov %edx,%eax\n"
__asm__(BEGIN(jitterbuffer_put) "test %rsp,%rsp\nje 9f\n.cfi_remember_state\npop %rbx\n.cfi_adjust_cfa_offset -8\n"
        "ret\n.cfi_restore_state\n9: ud2\n.cfi_endproc\n.size jitterbuffer_put,.-jitterbuffer_put\n");
__asm__(BEGIN(jitterbuffer_get) "pop %rbx\n.cfi_adjust_cfa_offset -8\nret\n.cfi_endproc\n"
        ".size jitterbuffer_get,.-jitterbuffer_get\n");
int jitterbuffer_put(void *, int, int);
int jitterbuffer_get(void *, int, int);

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(void) {
  char name[64];
  long calls;
  int rounds;
  setvbuf(stdout, 0, _IOLBF, 0);
  setvbuf(stdin, 0, _IONBF, 0);
  puts("ready");
  for (;;) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    if (!poll(&input, 1, 500)) {
      jitterbuffer_put(&input, 100, 0);
      jitterbuffer_get(&input, 100, 0);
      continue;
    }
    if (scanf("%63s %ld %d", name, &calls, &rounds) != 3) return 0;
    int (*volatile call)(void *, int, int) = strcmp(name, "put") ? jitterbuffer_get : jitterbuffer_put;
    double best = 1e18;
    for (int r = 0; r < rounds; r++) {
      double from = now_ns();
      for (long n = 0; n < calls; n++) call(&input, 100, 0);
      double each = (now_ns() - from) / calls;
      if (each < best) best = each;
    }
    printf("%.2f\n", best);
  }
}
