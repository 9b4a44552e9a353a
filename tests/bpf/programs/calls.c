// SPDX-License-Identifier: Apache-2.0
// A function that is called exactly as often, with exactly such arguments, as standard input says: "COUNT THREADS\n".
// put(bytes, result): returns result; every seventh call fails. With EARLY, calls of less than 512 bytes leave by its first branch. At most
// 1 000 threads, which begin together. Answers with one line when the calls are done. A COUNT of -1 means until the next line; the answer is
// the number of calls.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((noinline, noclone)) int put(void *buffer, int bytes, int result) {
#ifdef EARLY
  if (bytes < 512) return result;
  for (int i = bytes & 3; i >= 0; i--) __asm__ volatile("");
#endif
  __asm__ volatile("" ::"r"(buffer), "r"(bytes) : "memory");
  return result;
}
static long count, made;
static volatile int going;
static pthread_barrier_t all;
static void *run(void *unused) {
  long i;
  pthread_barrier_wait(&all);
  for (i = 0; count < 0 ? going : i < count; i++) {
    put(unused, (int)(i & 1023), i % 7 ? 0 : -1);
    if (count < 0 && !(i & 63)) usleep(1000);  // the agent needs a processor, too
  }
  __atomic_add_fetch(&made, i, __ATOMIC_RELAXED);
  return 0;
}
int main(void) {
  int threads;
  char line[16];
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (scanf("%ld %d", &count, &threads) == 2) {
    static pthread_t thread[1000];
    going = 1;
    made = 0;
    pthread_barrier_init(&all, 0, threads);
    for (int i = 0; i < threads; i++) pthread_create(&thread[i], 0, run, &count);
    if (count < 0) scanf("%15s", line);
    going = 0;
    for (int i = 0; i < threads; i++) pthread_join(thread[i], 0);
    pthread_barrier_destroy(&all);
    if (count < 0)
      printf("%ld\n", made);
    else
      puts("done");
  }
  return 0;
}
