// SPDX-License-Identifier: Apache-2.0
// Calls `put` on a coroutine's stack, from State Threads (-DSTATE_THREADS -lst), from boost::context (-DBOOST -lboost_context, as C++), as
// Tencent's libco does it (-DLIBCO, x86-64), or from ucontext's makecontext. One line of input, one of output:
//   plain        coroutine > outer > middle > put
//   frame BYTES  the same, with a frame of BYTES for `middle`
// The answer is as that of stacks.c: the return addresses that backtrace(3) finds in `put`, then the address where the program is mapped.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <alloca.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(STATE_THREADS)
#include <st.h>
#elif defined(BOOST)
#include <boost/context/fiber.hpp>
#elif !defined(LIBCO)
#include <ucontext.h>
#endif
#ifdef __cplusplus
extern "C" {
#endif
#define NOINLINE __attribute__((noinline, noclone))

static void *seen[64];
static int count;
volatile int sink;

NOINLINE int note(int value) {
#ifndef LIBCO  // what lies above its coroutines would mislead it
  count = backtrace(seen, 64);
#endif
  return value + sink;
}
NOINLINE int put(void *buffer, int bytes, int result) {
  if (bytes < 0) return -1;
  sink += note(bytes);
  return result + (buffer != 0);
}
NOINLINE int middle(int bytes) {
  volatile char *room = (volatile char *)alloca(bytes + 1);
  room[bytes] = 1;
  return put(seen, bytes, room[bytes]) + sink;
}
NOINLINE int outer(int bytes) { return middle(bytes) + sink; }

static int wanted;
#if defined(STATE_THREADS)
static NOINLINE void *coroutine(void *unused) {
  sink += outer(wanted);
  return unused;
}
static void run(void) { st_thread_join(st_thread_create(coroutine, 0, 1, 1 << 18), 0); }
#elif defined(BOOST)
static NOINLINE void coroutine(void) { sink += outer(wanted); }
static void run(void) {
  boost::context::fiber made{[](boost::context::fiber &&back) {
    coroutine();
    return std::move(back);
  }};
  std::move(made).resume();
}
#elif defined(LIBCO)
// Changes to another stack, at whose lower end are six registers and the address to go on at.
void co_swap(void **own, void *other);
__asm__(
    ".text\n.globl co_swap\n.type co_swap, @function\nco_swap:\n"
    "push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15; mov %rsp, (%rdi); mov %rsi, %rsp\n"
    "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp; ret\n.size co_swap, .-co_swap\n");
static void *own, *other;
static NOINLINE void coroutine(void) { sink += outer(wanted); }
void CoRoutineFunc(void) {
  coroutine();
  co_swap(&other, own);
}
static void run(void) {
  static void *stack[1 << 15];
  // What an earlier use of the stack has left: addresses behind calls, none of which called the coroutine.
  void *left[4];
  int found = backtrace(left, 4);
  for (int i = 0; i < 1 << 15; i++) stack[i] = left[i % found];
  other = &stack[(1 << 15) - 32 - 7];
  stack[(1 << 15) - 32 - 1] = (void *)CoRoutineFunc;
  co_swap(&own, other);
}
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
#ifdef __cplusplus
}
#endif
