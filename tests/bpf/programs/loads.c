// SPDX-License-Identifier: Apache-2.0
// Four threads call two functions 10 000 times a second together, while libraries are loaded. The file (first argument) holds for each thread
// and function how many calls were begun and how many are over. Standard input: "go" starts the threads; every other line is a library to load,
// which is answered with "loaded"; at its end the threads stop.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { THREADS = 4, EACH_MS = 5, CALLS = 2500 * EACH_MS / 1000 };
typedef struct {
  _Atomic long begun, over;
  long rest[6];
} count;
static count (*counts)[2];
static volatile int stop;
static int plain(int packet) { return packet & 7; }
static int (*volatile hook)(int) = plain;

// A leaf without a branch: a return probe sees its end, as long as no signal handler can run on another stack.
__attribute__((noinline, noclone)) int jitterbuffer_put(void *buffer, int packet) {
  __asm__ volatile("" ::"r"(buffer) : "memory");
  return packet & 7;
}
// A call through a pointer: its ends are branches, or `ret`.
__attribute__((noinline, noclone)) int jitterbuffer_get(void *buffer, int packet) {
  __asm__ volatile("" ::"r"(buffer) : "memory");
  return packet % 3 ? hook(packet) : -1;
}

static void *call(void *number) {
  count *own = counts[(long)number];
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  for (int packet = 0; !stop;) {
    for (int i = 0; i < CALLS; i++, packet++) {
      int get = packet & 1;
      atomic_fetch_add(&own[get].begun, 1);
      (get ? jitterbuffer_get : jitterbuffer_put)(own, packet);
      atomic_fetch_add(&own[get].over, 1);
    }
    next.tv_nsec += EACH_MS * 1000000;
    if (next.tv_nsec >= 1000000000) next.tv_sec++, next.tv_nsec -= 1000000000;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, 0);
  }
  return 0;
}

int main(int count_of, char **arguments) {
  (void)count_of;
  char line[4096];
  pthread_t threads[THREADS];
  int file = open(arguments[1], O_RDWR);
  counts = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (counts == MAP_FAILED) return 1;
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  if (!fgets(line, sizeof(line), stdin)) return 0;
  for (long i = 0; i < THREADS; i++)
    if (pthread_create(&threads[i], 0, call, (void *)i)) return 1;
  while (fgets(line, sizeof(line), stdin)) {
    line[strcspn(line, "\n")] = 0;
    if (!dlopen(line, RTLD_NOW)) return 1;
    puts("loaded");
  }
  stop = 1;
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], 0);
  return 0;
}
