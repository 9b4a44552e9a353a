// SPDX-License-Identifier: Apache-2.0
// Calls `put` along a known path, and says what its own unwinder makes of the stack there. One line of input, one of output:
//   plain           main > outer > middle > put
//   deep BYTES      the same with BYTES of stack between `outer` and `put`
//   signal          put runs in the handler of a signal that interrupts `middle`
//   leaf            the same with a timer that interrupts `spin`, which `middle` calls, and which calls nothing
//   thread          begin > outer > middle > put, in a thread of its own
// The answer: the return addresses that backtrace(3) finds in `put`, innermost first, then the address where the program is mapped.
#define _GNU_SOURCE
#include <alloca.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#define NOINLINE __attribute__((noinline, noclone))
#ifdef __clang__
#undef NOINLINE
#define NOINLINE __attribute__((noinline))
#endif

static void *seen[64];
static int count;
volatile int sink;
static volatile sig_atomic_t spinning, done;

NOINLINE int note(int value) {
  count = backtrace(seen, 64);
  return value + sink;
}
NOINLINE int put(void *buffer, int bytes, int result) {
  if (bytes < 0) return -1;
  sink += note(bytes);
  return result + (buffer != 0);
}
NOINLINE void spin(void) {
  spinning = 1;
  while (!done) {
  }
}
static void every(int microseconds) {
  struct itimerval timer = {{0, microseconds}, {0, microseconds}};
  setitimer(ITIMER_REAL, &timer, 0);
}
NOINLINE int middle(int bytes, int how) {
  volatile char *room = alloca(bytes + 1);
  room[bytes] = 1;
  if (how == 's') {
    raise(SIGUSR1);
    return sink + room[bytes];
  }
  if (how == 'l') {
    spinning = done = 0;
    every(5000);
    spin();
    return sink + room[bytes];
  }
  return put(seen, bytes, room[bytes]) + sink;
}
NOINLINE int outer(int bytes, int how) { return middle(bytes, how) + sink; }
static void handler(int number) {
  if (number == SIGALRM && !spinning) return;  // not yet
  every(0);
  sink += put(0, number, 0);
  done = 1;
}
static void *begin(void *nothing) {
  sink += outer(16, 0);
  return nothing;
}
static void in_a_thread(void) {
  pthread_t thread;
  if (pthread_create(&thread, 0, begin, 0) || pthread_join(thread, 0)) abort();
}

int main(void) {
  char line[64];
  Dl_info self;
  backtrace(seen, 64);  // loads the unwinder
  signal(SIGUSR1, handler);
  signal(SIGALRM, handler);
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    if (!strncmp(line, "thread", 6))
      in_a_thread();
    else
      sink += outer(strncmp(line, "deep", 4) ? 16 : atoi(line + 5), line[0]);
    for (int i = 0; i < count; i++) printf("%lx ", (unsigned long)seen[i]);
    printf("%lx\n", dladdr((void *)main, &self) ? (unsigned long)self.dli_fbase : 0);
  }
  return 0;
}
