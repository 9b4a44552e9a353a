// SPDX-License-Identifier: Apache-2.0
// A function that is called exactly as often, with exactly such arguments, as standard input says: "COUNT THREADS\n".
// put(bytes, result): returns result; every seventh call fails. At most 1 000 threads, which begin together. Answers with one line when the
// calls are done.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline, noclone)) int put(void *buffer, int bytes, int result) {
  __asm__ volatile("" ::"r"(buffer), "r"(bytes) : "memory");
  return result;
}
static long count;
static pthread_barrier_t all;
static void *run(void *unused) {
  pthread_barrier_wait(&all);
  for (long i = 0; i < count; i++) put(unused, (int)(i & 1023), i % 7 ? 0 : -1);
  return 0;
}
int main(void) {
  int threads;
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (scanf("%ld %d", &count, &threads) == 2) {
    static pthread_t thread[1000];
    pthread_barrier_init(&all, 0, threads);
    for (int i = 0; i < threads; i++) pthread_create(&thread[i], 0, run, &count);
    for (int i = 0; i < threads; i++) pthread_join(thread[i], 0);
    pthread_barrier_destroy(&all);
    puts("done");
  }
  return 0;
}
