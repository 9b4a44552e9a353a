// SPDX-License-Identifier: Apache-2.0
// Calls `put` on a coroutine's stack, from State Threads (-DSTATE_THREADS -lst) or from ucontext's makecontext. One line of input, one
// of output:
//   plain        coroutine > outer > middle > put
//   frame BYTES  the same where `middle` has a frame of so many bytes
// The answer is as that of stacks.c: the return addresses that backtrace(3) finds in `put`, then the address where the program is mapped.
#define _GNU_SOURCE
#include <alloca.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef STATE_THREADS
#include <st.h>
#else
#include <ucontext.h>
#endif
#define NOINLINE __attribute__((noinline, noclone))

static void *seen[64];
static int count;
volatile int sink;

NOINLINE int note(int value) {
  count = backtrace(seen, 64);
  return value + sink;
}
NOINLINE int put(void *buffer, int bytes, int result) {
  if (bytes < 0) return -1;
  sink += note(bytes);
  return result + (buffer != 0);
}
NOINLINE int middle(int bytes) {
  volatile char *room = alloca(bytes + 1);
  room[bytes] = 1;
  return put(seen, bytes, room[bytes]) + sink;
}
NOINLINE int outer(int bytes) { return middle(bytes) + sink; }

static int wanted;
#ifdef STATE_THREADS
static NOINLINE void *coroutine(void *unused) {
  sink += outer(wanted);
  return unused;
}
static void run(void) { st_thread_join(st_thread_create(coroutine, 0, 1, 1 << 18), 0); }
#else
static ucontext_t own, other;
static NOINLINE void coroutine(void) { sink += outer(wanted); }
static void run(void) {
  static char stack[1 << 18];
  getcontext(&other);
  other.uc_stack.ss_sp = stack;
  other.uc_stack.ss_size = sizeof(stack);
  other.uc_link = &own;
  makecontext(&other, coroutine, 0);
  swapcontext(&own, &other);
}
#endif

int main(void) {
  char line[100];
  Dl_info info;
#ifdef STATE_THREADS
  if (st_init()) return 1;
#endif
  dladdr((void *)put, &info);
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof(line), stdin)) {
    wanted = strncmp(line, "frame ", 6) ? 0 : atoi(line + 6);
    run();
    for (int i = 0; i < count; i++) printf("%lx ", (unsigned long)seen[i]);
    printf("%lx\n", (unsigned long)info.dli_fbase);
  }
  return 0;
}
