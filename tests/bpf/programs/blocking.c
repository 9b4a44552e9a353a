// SPDX-License-Identifier: Apache-2.0
// Threads that are inside put() and stay there. Standard input: "THREADS\n" or "THREADS die\n" (they leave by pthread_exit);
// answers "entered" when all are inside (or gone).
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static pthread_barrier_t barrier;
static int die;

__attribute__((noinline, noclone)) int put(void *buffer, int bytes, int result) {
  pthread_barrier_wait(&barrier);
  if (die) pthread_exit(0);
  pause();
  __asm__ volatile("" ::"r"(buffer), "r"(bytes) : "memory");
  return result;
}
static void *run(void *unused) {
  put(unused, 1, 0);
  return 0;
}
int main(void) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    int threads = 0;
    pthread_t thread[64];
    sscanf(line, "%d", &threads);
    die = strstr(line, "die") != 0;
    pthread_barrier_init(&barrier, 0, threads + 1);
    for (int i = 0; i < threads; i++) pthread_create(&thread[i], 0, run, 0);
    pthread_barrier_wait(&barrier);
    for (int i = 0; die && i < threads; i++) pthread_join(thread[i], 0);
    puts("entered");
  }
  return 0;
}
