// SPDX-License-Identifier: Apache-2.0
// put's end follows straight after a call when nothing is optimised, and its return value waits on the stack; other callers of `set` come from
// as deep a stack and from a deeper one. Two threads make the calls. With MOMENT, `set` has no branch to see its end at.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#define NI __attribute__((noinline, noclone))
static volatile int sink;
#ifdef MOMENT
NI void set(long *ring, long bytes) { __asm__ volatile("" : : "r"(ring), "r"(bytes) : "memory"); }
#else
NI void set(long *ring, long bytes) {
  if (bytes & 1) {
    ring[0] += bytes;
  } else {
    ring[1] += bytes;
  }
  sink++;
  if (bytes == 3) sink += 2;
}
#endif
NI int put(void *buffer, int bytes, int result) {
  int error = result;
  if (bytes == 0) return -7;
  set(buffer, bytes);
  return error;
}
NI int other(void *buffer, int bytes, int result) {
  int error = result;
  if (bytes == 0) return -7;
  set(buffer, bytes);
  return error;
}
static void *work(void *count) {
  long ring[2] = {0};
  for (long i = 0; i < (long)count; i++) {
    sink += put(ring, i % 10 == 9 ? 0 : 100, i % 5 == 0 ? (int)-i - 1 : (int)i);
    sink += other(ring, 50, 1);
    set(ring, i);
  }
  return 0;
}
int main(void) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], 0, work, (void *)atol(line));
    for (int i = 0; i < 2; i++) pthread_join(threads[i], 0);
    puts("done");
  }
  return 0;
}
